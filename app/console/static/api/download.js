// @ts-check
/** Saving an answer of the API as a file. */
import { fetchResponse, receive } from "./client.js";

// The browser reads the address some time after the click.
const READ_MILLISECONDS = 60_000;

/**
 * Save what GET answers as a file on the user's computer.
 * @param {string} path
 * @param {string} name the file's name
 * @param {import("./client.js").Options} [options] `accept` is text/csv by default
 */
export async function download(path, name, options = {}) {
  const response = await fetchResponse("GET", path, { accept: "text/csv", ...options });
  const address = URL.createObjectURL(await receive(response.blob()));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), READ_MILLISECONDS);
}
