# The documented Ruby class (HTTParty): uploads the picture ARGV[0], writes its 150x150 rendering to
# ARGV[1]. Prints the picture's URL, or the code of the error.
require 'httparty'

class UserPhotos
  include HTTParty
  base_uri "#{ENV.fetch('BASE_URL')}/v1"
  
  def initialize(api_key)
    @api_key = api_key
  end
  
  def upload_avatar(user_id, image_path)
    options = {
      headers: {
        'Authorization' => "Bearer #{@api_key}"
      },
      body: {
        user_id: user_id,
        image: File.open(image_path)
      }
    }
    
    self.class.post('/upload', options)
  end
end

client = UserPhotos.new(ENV.fetch('API_KEY'))
response = client.upload_avatar(12345, ARGV[0])

if response.success?
  puts response['image_url']
  picture = HTTParty.get("#{response['image_url']}?w=150&h=150")
  raise picture.inspect unless picture.success?
  File.binwrite(ARGV[1], picture.body)
else
  puts response['error']['code']
end
