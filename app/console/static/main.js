// @ts-check
/** Starts the console, and says which views there are: a line for each. */
import { start } from "./shell.js";

await start([
  { path: "learners", name: "nav.learners", scopes: ["learners:read"], load: () => import("./views/learners.js") },
  { path: "import", name: "nav.import", scopes: ["learners:bulk"], load: () => import("./views/import.js") },
  { path: "operations", name: "nav.operations", scopes: ["learners:read", "learners:bulk"], load: () => import("./views/operations.js") },
  { path: "api-keys", name: "nav.api_keys", scopes: ["admin"], load: () => import("./views/api_keys.js") },
  { path: "webhooks", name: "nav.webhooks", scopes: ["admin"], load: () => import("./views/webhooks.js") },
  { path: "organization", name: "nav.organization", scopes: ["admin"], load: () => import("./views/organization.js") },
]);
