// The documented JavaScript class (node-fetch): uploads the picture argv[2], writes its 150x150 rendering
// to argv[3]. Prints the picture's URL, or the code of the error.
const FormData = require('form-data');
const fs = require('fs');
const fetch = require('node-fetch');

class UserPhotos {
  constructor(apiKey) {
    this.apiKey = apiKey;
  }
  
  async uploadAvatar(userId, imagePath) {
    const form = new FormData();
    form.append('user_id', userId);
    form.append('image', fs.createReadStream(imagePath));
    
    const response = await fetch(`${process.env.BASE_URL}/v1/upload`, {
      method: 'POST',
      headers: {
        'Authorization': `Bearer ${this.apiKey}`,
        ...form.getHeaders()
      },
      body: form
    });
    
    return response.json();
  }
}

async function main() {
  const client = new UserPhotos(process.env.API_KEY);
  const result = await client.uploadAvatar('user123', process.argv[2]);
  if (!result.success) {
    console.log(result.error.code);
    return;
  }
  console.log(result.image_url);
  const picture = await fetch(`${result.image_url}?w=150&h=150`);
  if (!picture.ok) throw new Error(`status ${picture.status}`);
  fs.writeFileSync(process.argv[3], await picture.buffer());
}

main();
