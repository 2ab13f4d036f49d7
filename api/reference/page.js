// Draws the description of the API, which this node gives at /openapi.json. Text only: nothing is read as HTML.

const KEY = "taskqueue.token";
const METHODS = ["get", "post", "put", "patch", "delete"];
const at = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const code = (text) => make("code", {}, text);
/** Words, with what stands between `backticks` as code. */
const says = (words) => make("span", {}, ...words.split("`").map((part, n) => (n % 2 ? code(part) : part)));
const pre = (value) => make("pre", { tabindex: "0" }, JSON.stringify(value, null, 2));

function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
  const drawn = make("table", { "aria-label": caption }, make("thead", {}, head), make("tbody", {}, ...body));
  return make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, drawn);
}

/** The thing that a reference names, with what stands beside the reference. */
function resolve(description, schema) {
  let found = schema;
  while (found && found.$ref) {
    const { $ref, ...beside } = found;
    const target = $ref.slice(2).split("/").reduce((inner, part) => inner[part], description);
    found = { ...target, ...beside };
  }
  return found ?? {};
}

/** A schema in a few words: `string`, `a list of Task`, `integer, 0 to 9 or "low", "high"`. */
function kind(description, schema) {
  if (schema.$ref) {
    const target = resolve(description, schema);
    return target.enum ? kind(description, target) : schema.$ref.split("/").pop();
  }
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  const several = schema.anyOf ?? (schema.oneOf && !schema.type ? schema.oneOf : null);
  if (several) return several.map((one) => kind(description, one)).join(" or ");
  if (schema.type === "array") return `a list of ${kind(description, schema.items ?? {})}`;
  if (schema.type === "object" && schema.additionalProperties instanceof Object) {
    return `an object of ${kind(description, schema.additionalProperties)}`;
  }
  const words = [schema.type ?? "any JSON"];
  if (schema.format) words.push(schema.format);
  if (schema.pattern?.length < 40) words.push(schema.pattern);
  if (schema.minimum !== undefined || schema.maximum !== undefined) {
    words.push(`${schema.minimum ?? "…"} to ${schema.maximum ?? "…"}`);
  }
  if (schema.minLength !== undefined || schema.maxLength !== undefined) {
    words.push(`${schema.minLength ?? 0} to ${schema.maxLength ?? "…"} characters`);
  }
  return words.join(", ");
}

function fields(description, schema, caption) {
  const found = resolve(description, schema);
  if (!found.properties) return null;
  const required = new Set(found.required ?? []);
  const rows = Object.entries(found.properties).map(([name, property]) => [
    code(name),
    kind(description, property),
    says([required.has(name) ? "Always." : "", resolve(description, property).description ?? ""].join(" ").trim()),
  ]);
  return table(caption, ["Field", "Type", "Meaning"], rows);
}

function parameters(description, operation, label) {
  if (!operation.parameters?.length) return [];
  const rows = operation.parameters.map((one) => [
    code(one.name),
    one.in + (one.required ? ", required" : ""),
    kind(description, one.schema),
    says(one.description),
  ]);
  const caption = `Parameters of ${label}`;
  return [make("h4", {}, "Parameters"), table(caption, ["Name", "Where", "Type", "Meaning"], rows)];
}

function body(description, operation, label) {
  if (!operation.requestBody) return [];
  const media = operation.requestBody.content["application/json"];
  const shown = Object.values(media.examples ?? {}).map((example) => pre(example.value));
  return [
    make("h4", {}, "Body"),
    make("p", {}, says(operation.requestBody.description)),
    fields(description, media.schema, `Body of ${label}`),
    ...shown,
  ];
}

function answers(description, operation, label) {
  const rows = Object.entries(operation.responses).map(([status, given]) => {
    const answer = resolve(description, given);
    const types = Object.entries(answer.content ?? {}).map(([media, one]) =>
      media.includes("json") ? kind(description, one.schema) : media);
    return [code(status), types.join(", ") || "nothing", says(answer.description)];
  });
  return [make("h4", {}, "Answers"), table(`Answers of ${label}`, ["Status", "Body", "When"], rows)];
}

const anchor = (operation) => operation.operationId.replace(".", "-");

function draw(description) {
  at("version").textContent = description.info.version;
  const contents = at("contents");
  const main = at("operations");
  main.append(make("p", {}, description.info.description));
  for (const tag of description.tags) {
    const list = make("ul");
    main.append(make("h2", {}, tag.name), make("p", {}, tag.description));
    for (const [path, operations] of Object.entries(description.paths)) {
      for (const method of METHODS.filter((one) => operations[one]?.tags.includes(tag.name))) {
        const operation = operations[method];
        const label = `${method.toUpperCase()} ${path}`;
        const title = [make("span", { class: `method ${method}` }, method.toUpperCase()), ` ${path}`];
        const link = make("a", { href: `#${anchor(operation)}` }, title[0].cloneNode(true), title[1]);
        list.append(make("li", {}, link));
        main.append(make("section", { id: anchor(operation), "aria-label": label },
          make("h3", {}, ...title),
          make("p", {}, says(operation.summary)),
          make("p", { class: "role" }, operation.description),
          ...parameters(description, operation, label),
          ...body(description, operation, label),
          ...answers(description, operation, label)));
      }
    }
    contents.append(make("h2", {}, tag.name), list);
  }
  main.append(make("h2", {}, "Types"));
  for (const [name, schema] of Object.entries(description.components.schemas)) {
    main.append(make("section", { id: `type-${name}`, "aria-label": name },
      make("h3", {}, name),
      make("p", {}, says(schema.description ?? "")),
      fields(description, schema, `Fields of ${name}`) ?? make("p", {}, kind(description, schema))));
  }
  at("state").hidden = true;
  at("page").hidden = false;
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

async function show() {
  const token = sessionStorage.getItem(KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch("/openapi.json", { headers });
  } catch {
    at("state").textContent = "This node does not answer.";
    return;
  }
  if (answer.status === 401) {
    sessionStorage.removeItem(KEY);
    at("wrong").textContent = token ? "Nobody has this token." : "";
    at("state").hidden = true;
    at("login").hidden = false;
    at("token").focus();
    return;
  }
  if (!answer.ok) {
    at("state").textContent = `The node answered ${answer.status}.`;
    return;
  }
  at("login").hidden = true;
  const whole = await answer.blob();
  if (token) {
    // A link sends no token, so behind it stands what has come already.
    at("whole").href = URL.createObjectURL(whole);
    at("whole").download = "openapi.json";
  }
  draw(JSON.parse(await whole.text()));
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = at("token").value.trim();
  at("token").value = "";
  if (!/^[\x21-\x7e]+$/.test(given)) {
    at("wrong").textContent = "A token has no spaces and only plain characters.";
    return;
  }
  sessionStorage.setItem(KEY, given);
  show();
});

show();
