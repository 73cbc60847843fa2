const uuid = { type: "string", format: "uuid" };
function nullable(type: string, more: object = {}) {
  return { type: [type, "null"], ...more };
}
function ref(name: string) {
  return { $ref: `#/components/schemas/${name}` };
}
function json(schema: object) {
  return { "application/json": { schema } };
}
function answer(description: string, schema: object) {
  return { description, content: json(schema) };
}
function refused(...statuses: string[]) {
  return Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/${status}` }]));
}
function refusal(description: string) {
  return answer(description, ref("Error"));
}
function query(name: string, description: string, schema: object) {
  return { name, in: "query", description, schema };
}

const STATUS = { type: "string", enum: ["Queued", "In Progress", "Complete", "Failed", "Cancelled"] };
const newTask = {
  task_type: { type: "string", pattern: "^[A-Za-z0-9_.-]{1,100}$", examples: ["generate_video"] },
  params: { type: "object", examples: [{ prompt: "a sunset over mountains", frames: 24 }] },
  project_id: { ...uuid, description: "Optional for a caller with only one project." },
  dependant_on: { ...uuid, description: "The task that has to complete first." },
  priority: { type: "integer", default: 0, description: "Higher is served first; above 0 with the service key only." },
};
const cancel = {
  summary: "Cancel a task",
  description: "Also while a worker is working on it. A task that was cancelled before is returned unchanged.",
  responses: { "200": answer("The cancelled task", ref("Task")), ...refused("400", "401", "403", "404", "409") },
};

const PATHS = {
  "/tasks": {
    post: {
      summary: "Create a task",
      description: "A request with an id of yours can be repeated safely: the task is created only once.",
      requestBody: { required: true, content: json(ref("NewTask")) },
      responses: { "201": answer("The task", ref("Task")), ...refused("400", "401", "403", "409") },
    },
    get: {
      summary: "List tasks, newest first",
      parameters: [
        query("status", "Only tasks in this status.", STATUS),
        query("project_id", "Only tasks of this project.", uuid),
        query("limit", "Tasks on one page.", { type: "integer", minimum: 1, maximum: 200, default: 50 }),
        query("cursor", "next_cursor of the page before.", { type: "string" }),
      ],
      responses: { "200": answer("A page of tasks", ref("Page")), ...refused("400", "401", "403") },
    },
  },
  "/tasks/{id}": {
    parameters: [{ name: "id", in: "path", required: true, schema: uuid }],
    get: {
      summary: "Read a task",
      responses: { "200": answer("The task", ref("Task")), ...refused("400", "401", "404") },
    },
    delete: cancel,
  },
  "/tasks/{id}/cancel": {
    parameters: [{ name: "id", in: "path", required: true, schema: uuid }],
    post: cancel,
  },
};

const RESPONSES = {
  "400": refusal("The request is wrong; error.field names the wrong field"),
  "401": refusal("The credential is missing or unknown"),
  "403": refusal("The caller has no permission for this"),
  "404": refusal("There is no such task for this caller"),
  "409": refusal("The task has ended already, or the id is taken"),
};

const SCHEMAS = {
  NewTask: {
    type: "object",
    required: ["task_type"],
    additionalProperties: false,
    properties: { id: uuid, ...newTask },
  },
  Task: {
    type: "object",
    properties: {
      id: uuid,
      ...newTask,
      dependant_on: nullable("string", { format: "uuid" }),
      status: STATUS,
      attempts: { type: "integer" },
      progress: nullable("number", { minimum: 0, maximum: 1 }),
      progress_message: nullable("string"),
      output_location: nullable("string", { description: "Public address of the result." }),
      result_data: nullable("object"),
      error_message: nullable("string"),
      created_at: { type: "string", format: "date-time" },
      generation_started_at: nullable("string", { format: "date-time" }),
      generation_processed_at: nullable("string", { format: "date-time" }),
    },
  },
  Page: {
    type: "object",
    properties: { tasks: { type: "array", items: ref("Task") }, next_cursor: nullable("string") },
  },
  Error: {
    type: "object",
    properties: {
      error: {
        type: "object",
        required: ["code", "message"],
        properties: { code: { type: "string" }, message: { type: "string" }, field: { type: "string" } },
      },
    },
  },
};

/** The tasks API as an OpenAPI 3.1 document; `serverUrl` is the address before its paths. */
export function openApiDocument(serverUrl: string) {
  return {
    openapi: "3.1.0",
    info: {
      title: "gpu-pool tasks",
      version: "1",
      description:
        "Submit video-generation tasks, read them, cancel them. A caller sees the tasks of its own projects only.",
    },
    servers: [{ url: serverUrl }],
    security: [{ bearer: [] }],
    paths: PATHS,
    components: {
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "A personal access token, a signed-in user's JWT, or the service key.",
        },
      },
      responses: RESPONSES,
      schemas: SCHEMAS,
    },
  };
}
