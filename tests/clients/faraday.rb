# The documented Ruby class (Faraday): uploads the picture ARGV[0], writes its 150x150 rendering to
# ARGV[1]. Prints the picture's URL, or the code of the error.
require 'faraday'
require 'faraday/multipart'

class UserPhotos
  def initialize(api_key)
    @api_key = api_key
    @conn = Faraday.new(url: ENV.fetch('BASE_URL')) do |f|
      f.request :multipart
      f.request :url_encoded
      f.adapter Faraday.default_adapter
    end
  end
  
  def upload_avatar(user_id, image_path)
    response = @conn.post('/v1/upload') do |req|
      req.headers['Authorization'] = "Bearer #{@api_key}"
      req.body = {
        user_id: user_id,
        image: Faraday::UploadIO.new(image_path, 'image/jpeg')
      }
    end
    
    JSON.parse(response.body)
  end
end

client = UserPhotos.new(ENV.fetch('API_KEY'))
result = client.upload_avatar('user123', ARGV[0])

if result['success']
  puts result['image_url']
  picture = Faraday.get("#{result['image_url']}?w=150&h=150")
  raise picture.inspect unless picture.success?
  File.binwrite(ARGV[1], picture.body)
else
  puts result['error']['code']
end
