#!/bin/sh
# The documented curl command: uploads the picture $1, writes its 150x150 rendering to $2.
# Prints the picture's URL, or the code of the error.
set -eu

response=$(curl -X POST "$BASE_URL/v1/upload" \
  -H "Authorization: Bearer $API_KEY" \
  -H "Content-Type: multipart/form-data" \
  -F "user_id=12345" \
  -F "image=@$1")

field() { echo "$response" | sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"; }

image_url=$(field image_url)
if [ -n "$image_url" ]; then
  curl --fail --output "$2" "$image_url?w=150&h=150"
  echo "$image_url"
else
  field code
fi
