# Faraday 1 has multipart built in; the gem of this name is for Faraday 2.
