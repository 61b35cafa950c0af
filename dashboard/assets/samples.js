// The upload in a few languages, with the reader's own addresses and key in it.

const CURL = `curl {api}/v1/upload \\
  -H "Authorization: Bearer {key}" \\
  -F "user_id=12345" \\
  -F "image=@avatar.jpg"
`;

const PYTHON = `import requests

with open("avatar.jpg", "rb") as image:
    response = requests.post(
        "{api}/v1/upload",
        headers={"Authorization": "Bearer {key}"},
        data={"user_id": "12345"},
        files={"image": image},
    )
print(response.json()["image_url"])
`;

const RUBY = `require "httparty"

response = HTTParty.post(
  "{api}/v1/upload",
  headers: { "Authorization" => "Bearer {key}" },
  body: { user_id: "12345", image: File.open("avatar.jpg") }
)
puts response["image_url"]
`;

const NODE = `import { readFile } from "node:fs/promises";

const form = new FormData();
form.append("user_id", "12345");
form.append("image", new Blob([await readFile("avatar.jpg")]));

const response = await fetch("{api}/v1/upload", {
  method: "POST",
  headers: { Authorization: "Bearer {key}" },
  body: form,
});
console.log((await response.json()).image_url);
`;

const PHP = `<?php
$request = curl_init("{api}/v1/upload");
curl_setopt_array($request, [
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_HTTPHEADER => ["Authorization: Bearer {key}"],
    CURLOPT_POSTFIELDS => [
        "user_id" => "12345",
        "image" => new CURLFile("avatar.jpg"),
    ],
]);
echo json_decode(curl_exec($request))->image_url, "\\n";
`;

const HTML = `<img
  src="{cdn}/{image}?w=96&h=96"
  srcset="{cdn}/{image}?w=192&h=192 2x"
  width="96" height="96" alt=""
>
`;

const SAMPLES = { curl: CURL, Python: PYTHON, Ruby: RUBY, Node: NODE, PHP, HTML };

/** [language, code] with what is known filled in. */
export function samples({ api, cdn, key, image }) {
  const known = { api, cdn, key: key ?? "YOUR_API_KEY", image: image ?? "img_1234567890abcdef" };
  const fill = (code) => code.replace(/\{(api|cdn|key|image)\}/g, (_, name) => known[name]);
  return Object.entries(SAMPLES).map(([language, code]) => [language, fill(code)]);
}
