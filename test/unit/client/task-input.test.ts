import { describe, expect, it } from "vitest";
import { ClientError, EXIT } from "../../../src/client/errors.ts";
import { parseTasks } from "../../../src/client/commands/tasks/task-input.ts";

const CAT = { task_type: "generate_video", params: { prompt: "a cat" } };
const ID = "0b9c4a52-8a52-4a3c-9f3e-0a1b2c3d4e5f";

function refusal(text: string): ClientError {
  try {
    parseTasks(text, "tasks.json");
  } catch (error) {
    if (error instanceof ClientError) {
      return error;
    }
    throw error;
  }
  throw new Error("it was accepted");
}

describe("tasks as JSON", () => {
  it("takes one object over several lines", () => {
    expect(parseTasks(JSON.stringify(CAT, null, 2), "stdin")).toEqual([CAT]);
  });

  it("takes an array with every field that a task may have", () => {
    const whole = { ...CAT, priority: -3, project_id: ID, dependant_on: ID };
    expect(parseTasks(JSON.stringify([CAT, whole]), "stdin")).toEqual([CAT, whole]);
  });

  it("takes one object a line and skips empty lines", () => {
    const line = JSON.stringify(CAT);
    expect(parseTasks(`${line}\n\n${line}\r\n`, "stdin")).toEqual([CAT, CAT]);
  });

  it("accepts the nil project, which is the default one", () => {
    const nil = { ...CAT, project_id: "00000000-0000-0000-0000-000000000000" };
    expect(parseTasks(JSON.stringify(nil), "stdin")).toEqual([nil]);
  });

  it("names the file, the line and the field of an error in JSON lines", () => {
    const { message, exitCode } = refusal(`${JSON.stringify(CAT)}\n{"task_type":"generate_video","params":[1]}\n`);
    expect(message).toBe("tasks.json: line 2: params: expected an object of parameters, got [1]");
    expect(exitCode).toBe(EXIT.usage);
  });

  it("names the index in an array", () => {
    expect(refusal(JSON.stringify([CAT, { ...CAT, priority: 1.5 }])).message).toContain(
      "[1] priority: expected a whole",
    );
  });

  it("names a field that no task has, and does not ignore it", () => {
    expect(refusal(JSON.stringify({ ...CAT, prio: 3 })).message).toBe("tasks.json: prio: no such field");
  });

  it("names the first of many such fields, and how many more there are", () => {
    const fields = Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => [`field${n}`, n]));
    expect(refusal(JSON.stringify({ ...CAT, ...fields })).message).toBe(
      "tasks.json: field0, field1, field2, and 59997 more: no such field",
    );
  });

  it("names the line that is not JSON", () => {
    expect(refusal(`${JSON.stringify(CAT)}\n{oops\n`).message).toContain("tasks.json: line 2 is no JSON");
  });

  it("says so if no line is JSON", () => {
    expect(refusal("- prompt: a cat").message).toContain("tasks.json: it is no JSON");
  });

  it("refuses an empty input, because it is most often a mistake", () => {
    expect(refusal(" \n ").message).toBe("tasks.json: it is empty");
  });

  it("shows the first three problems and counts the others", () => {
    const { message } = refusal(JSON.stringify([1, 2, 3, 4, 5]));
    expect(message).toContain("[2] expected an object, got 3; and 2 more");
    expect(message).not.toContain("[3]");
  });
});
