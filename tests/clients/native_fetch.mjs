// Node's own fetch with a streamed body, so that it says no length: uploads the picture argv[2], writes its
// 150x150 rendering to argv[3]. Prints the picture's URL, or the code of the error.
import FormData from 'form-data';
import fs from 'node:fs';
import { PassThrough, Readable } from 'node:stream';

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
      body: Readable.toWeb(form.pipe(new PassThrough())),
      duplex: 'half'
    });

    return response.json();
  }
}

const client = new UserPhotos(process.env.API_KEY);
const result = await client.uploadAvatar('user123', process.argv[2]);
if (result.success) {
  console.log(result.image_url);
  const picture = await fetch(`${result.image_url}?w=150&h=150`);
  if (!picture.ok) throw new Error(`status ${picture.status}`);
  fs.writeFileSync(process.argv[3], Buffer.from(await picture.arrayBuffer()));
} else {
  console.log(result.error.code);
}
