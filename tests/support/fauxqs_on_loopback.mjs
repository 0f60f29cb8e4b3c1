// fauxqs listens on all addresses whatever it is told: this starts the same server on the loopback alone.
//     node fauxqs_on_loopback.mjs FOLDER_OF_FAUXQS PORT
import { pathToFileURL } from "node:url";

const [folder, port] = process.argv.slice(2);
const { buildApp } = await import(pathToFileURL(`${folder}/dist/app.js`));
await buildApp({ logger: false }).listen({ port: Number(port), host: "127.0.0.1" });
