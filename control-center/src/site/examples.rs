//! Examples for the description of the API. Each is put together from the schema it is an example of: where a type or a
//! field states its own, that; else the word of `examples.toml` for the field's name, so that a name is written once and
//! says the same everywhere. Never invents a word: what has none is named, and the test fails for it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

const WORDS: &str = include_str!("examples.toml");
/// No answer of ours is deeper; a schema that holds itself ends here.
const DEEPEST: usize = 40;
const METHODS: [&str; 6] = ["get", "put", "post", "delete", "patch", "head"];

/// What fields are called, and what stands in them.
#[derive(Debug, Default, Deserialize)]
struct Words {
    /// By the field's name.
    names: Map<String, Value>,
    /// By the schema's name or the route's path and then the field's, where a name means something else there.
    of: BTreeMap<String, Map<String, Value>>,
}

impl Words {
    fn of(&self, owner: &str, name: &str) -> Option<&Value> {
        self.of.get(owner).and_then(|words| words.get(name))
    }
}

/// Gives every operation of `description` examples of its parameters, its JSON body and its JSON answers. Returns what has
/// no word, as `owner.field`.
pub(super) fn complete(description: &mut Value) -> Vec<String> {
    let words: Words = match toml::from_str(WORDS) {
        Ok(words) => words,
        Err(error) => return vec![format!("examples.toml: {error}")],
    };
    let schemas = match description.pointer("/components/schemas") {
        Some(Value::Object(schemas)) => schemas.clone(),
        _ => Map::new(),
    };
    let mut writer = Writer { words: &words, schemas: &schemas, missing: Vec::new() };
    let Some(Value::Object(paths)) = description.get_mut("paths") else { return writer.missing };
    for (path, methods) in paths {
        let Value::Object(methods) = methods else { continue };
        for (_, operation) in methods.iter_mut().filter(|(method, _)| METHODS.contains(&method.as_str())) {
            writer.operation(path.strip_prefix("/api/v1").unwrap_or(path), operation);
        }
    }
    writer.missing
}

struct Writer<'a> {
    words: &'a Words,
    schemas: &'a Map<String, Value>,
    missing: Vec<String>,
}

impl Writer<'_> {
    fn operation(&mut self, path: &str, operation: &mut Value) {
        if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
            for parameter in parameters {
                let Some(name) = parameter.get("name").and_then(Value::as_str).map(str::to_owned) else {
                    continue;
                };
                if parameter.get("example").is_some() {
                    continue;
                }
                let schema = parameter.get("schema").cloned().unwrap_or_default();
                if let Some(example) = self.of_schema(&schema, path, &name, 0) {
                    put(parameter, example);
                }
            }
        }
        if let Some(content) = operation.pointer_mut("/requestBody/content") {
            self.content(path, "body", content);
        }
        let Some(Value::Object(responses)) = operation.get_mut("responses") else { return };
        for (status, response) in responses {
            let Some(content) = response.get_mut("content") else { continue };
            match status.parse::<u16>() {
                Ok(status) if status >= 400 => problem(status, content),
                _ => self.content(path, "answer", content),
            }
        }
    }

    /// Fills in the JSON of a body or an answer.
    fn content(&mut self, path: &str, what: &str, content: &mut Value) {
        let Some(media) = content.get_mut("application/json") else { return };
        if media.get("example").is_some() {
            return;
        }
        let schema = media.get("schema").cloned().unwrap_or_default();
        if let Some(example) = self.of_schema(&schema, path, what, 0) {
            put(media, example);
        }
    }

    /// An example of `schema`, which is the field `name` of `owner`.
    fn of_schema(&mut self, schema: &Value, owner: &str, name: &str, depth: usize) -> Option<Value> {
        if depth > DEEPEST {
            return None;
        }
        if let Some(own) = schema.get("example").or_else(|| schema.pointer("/examples/0")) {
            return Some(own.clone());
        }
        if let Some(word) = self.words.of(owner, name) {
            return Some(word.clone());
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let target = target.rsplit('/').next().unwrap_or_default();
            let schema = self.schemas.get(target)?.clone();
            return match self.word(&schema, name) {
                Some(word) => Some(word),
                None => self.of_schema(&schema, target, "*", depth + 1),
            };
        }
        if let Some(word) = self.word(schema, name) {
            return Some(word);
        }
        if let Some(one) = schema.get("const").or_else(|| schema.pointer("/enum/0")) {
            return Some(one.clone());
        }
        for choice in ["oneOf", "anyOf"] {
            if let Some(Value::Array(options)) = schema.get(choice) {
                let real = options.iter().find(|option| kind_of(option) != Some("null"))?;
                return self.of_schema(real, owner, name, depth + 1);
            }
        }
        if let Some(Value::Array(parts)) = schema.get("allOf") {
            let mut whole = Map::new();
            for part in parts {
                if let Some(Value::Object(fields)) = self.of_schema(part, owner, name, depth + 1) {
                    whole.extend(fields);
                }
            }
            return Some(Value::Object(whole));
        }
        match kind_of(schema) {
            Some("object") => self.object(schema, owner, name, depth),
            Some("array") => {
                if let Some(Value::Array(items)) = schema.get("prefixItems") {
                    let items = items.iter().map(|item| self.of_schema(item, owner, name, depth + 1));
                    return items.collect::<Option<Vec<_>>>().map(Value::Array);
                }
                let items = schema.get("items").cloned().unwrap_or_default();
                self.of_schema(&items, owner, name, depth + 1).map(|item| json!([item]))
            }
            Some("boolean") => Some(json!(false)),
            _ => {
                self.missing.push(format!("{owner}.{name}"));
                None
            }
        }
    }

    fn object(&mut self, schema: &Value, owner: &str, name: &str, depth: usize) -> Option<Value> {
        let Some(Value::Object(fields)) = schema.get("properties") else {
            self.missing.push(format!("{owner}.{name}"));
            return None;
        };
        let mut whole = Map::new();
        for (field, schema) in fields {
            if let Some(example) = self.of_schema(schema, owner, field, depth + 1) {
                whole.insert(field.clone(), example);
            }
        }
        Some(Value::Object(whole))
    }

    /// The word for `name`, where `schema` takes it, alone or in a list.
    fn word(&self, schema: &Value, name: &str) -> Option<Value> {
        let word = self.words.names.get(name)?;
        let takes = |schema: &Value| {
            let listed = match schema.get("enum") {
                Some(Value::Array(options)) => options.contains(word),
                _ => true,
            };
            // Of a list the items must be what the word lists; of an object a word by name alone says nothing.
            let held = match (word, schema.get("items")) {
                (Value::Array(words), Some(items)) => {
                    words.iter().all(|word| kinds_of(items).iter().any(|kind| is_of(word, kind)))
                }
                _ => kind_of(schema) != Some("object"),
            };
            listed && held && kinds_of(schema).iter().any(|kind| is_of(word, kind))
        };
        if takes(schema) {
            return Some(word.clone());
        }
        schema.get("items").filter(|items| takes(items)).map(|_| json!([word]))
    }
}

/// Problems are of their own kind of content, and their example says the status.
fn problem(status: u16, content: &mut Value) {
    let Value::Object(kinds) = content else { return };
    let Some(mut media) = kinds.remove("application/json") else { return };
    let title = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let detail = match status {
        400 => "a query parameter is wrong: from: a date such as 2026-11-22",
        401 => "sign in first",
        403 => "your role does not allow this here: ask an administrator",
        404 => "there is no such thing, or none of yours: check its id",
        409 => "somebody has this name already: take another",
        422 => "the name is empty: give one of 1 to 60 characters",
        429 => "too many tries: wait 60 seconds and try again",
        503 => "the hall is not connected: try again when it is",
        504 => "the hall did not answer in time: try again",
        507 => "the disk is full: free some of it",
        _ => "the centre failed to answer: its log says why",
    };
    put(
        &mut media,
        json!({"type": "about:blank", "title": title.unwrap_or("Problem"), "status": status, "detail": detail}),
    );
    kinds.insert("application/problem+json".into(), media);
}

fn put(place: &mut Value, example: Value) {
    if let Value::Object(place) = place {
        place.insert("example".into(), example);
    }
}

/// The types that a schema allows.
fn kinds_of(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The first type that a schema allows and that is not nothing.
fn kind_of(schema: &Value) -> Option<&str> {
    let kinds = kinds_of(schema);
    kinds.iter().find(|kind| **kind != "null").or(kinds.first()).copied()
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where `value` is not what `schema` says, each with its way from the root.
    fn faults(schema: &Value, value: &Value, schemas: &Value, way: &str, found: &mut Vec<String>) {
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let name = target.rsplit('/').next().unwrap();
            match schemas.get(name) {
                Some(target) => faults(target, value, schemas, way, found),
                None => found.push(format!("{way}: no schema {name}")),
            }
            return;
        }
        let kinds = kinds_of(schema);
        if !kinds.is_empty() && !kinds.iter().any(|kind| is_of(value, kind)) {
            found.push(format!("{way}: {value} is not {kinds:?}"));
        }
        if let Some(options) = schema.get("enum").and_then(Value::as_array)
            && !options.contains(value)
        {
            found.push(format!("{way}: {value} is none of {options:?}"));
        }
        if let (Some(least), Some(number)) = (schema.get("minimum").and_then(Value::as_f64), value.as_f64())
            && number < least
        {
            found.push(format!("{way}: {number} is below {least}"));
        }
        if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
            for part in parts {
                faults(part, value, schemas, way, found);
            }
        }
        for choice in ["oneOf", "anyOf"] {
            let Some(options) = schema.get(choice).and_then(Value::as_array) else { continue };
            let fits = |option: &Value| {
                let mut found = Vec::new();
                faults(option, value, schemas, way, &mut found);
                found.is_empty()
            };
            if !options.iter().any(fits) {
                found.push(format!("{way}: {value} is none of the choices"));
            }
        }
        if let Some(object) = value.as_object() {
            let fields = schema.get("properties").and_then(Value::as_object);
            for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
                if !object.contains_key(name.as_str().unwrap()) {
                    found.push(format!("{way}: {name} is missing"));
                }
            }
            for (name, value) in object {
                let way = format!("{way}.{name}");
                match (fields.and_then(|fields| fields.get(name)), schema.get("additionalProperties")) {
                    (Some(field), _) => faults(field, value, schemas, &way, found),
                    (None, Some(Value::Bool(false))) => found.push(format!("{way}: is not known")),
                    (None, Some(rest @ Value::Object(_))) => faults(rest, value, schemas, &way, found),
                    _ => {}
                }
            }
        }
        if let Some(items) = value.as_array() {
            let each = schema.get("prefixItems").and_then(Value::as_array);
            for (n, item) in items.iter().enumerate() {
                let schema = each.and_then(|each| each.get(n)).or_else(|| schema.get("items"));
                if let Some(schema) = schema.filter(|schema| schema.is_object()) {
                    faults(schema, item, schemas, &format!("{way}[{n}]"), found);
                }
            }
        }
    }

    #[test]
    fn every_operation_has_examples_and_each_is_what_its_schema_says() {
        let mut description = serde_json::to_value(crate::site::assembly::described()).unwrap();
        let mut missing = complete(&mut description);
        missing.sort();
        missing.dedup();
        let schemas = &description["components"]["schemas"];
        let mut wrong = Vec::new();
        let (mut operations, mut examples) = (0, 0);
        for (path, methods) in description["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if !METHODS.contains(&method.as_str()) {
                    continue;
                }
                operations += 1;
                let mut check = |what: &str, holder: &Value| {
                    let way = format!("{} {path} {what}", method.to_uppercase());
                    examples += 1;
                    match holder.get("example") {
                        Some(example) => faults(&holder["schema"], example, schemas, &way, &mut wrong),
                        None if holder["schema"].get("example").is_some() => {}
                        None => wrong.push(format!("{way}: no example")),
                    }
                };
                for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
                    check(&format!("?{}", parameter["name"].as_str().unwrap()), parameter);
                }
                if let Some(media) = operation.pointer("/requestBody/content/application~1json") {
                    check("body", media);
                }
                for (status, response) in operation["responses"].as_object().unwrap() {
                    for kind in ["application/json", "application/problem+json"] {
                        if let Some(media) = response.get("content").and_then(|content| content.get(kind)) {
                            check(status, media);
                        }
                    }
                }
            }
        }
        println!("{operations} operations, {examples} examples");
        assert!(missing.is_empty(), "no words in examples.toml for {missing:#?}");
        assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
        assert!(operations > 100);
    }

    #[test]
    fn a_fault_is_found() {
        let schema = json!({"type": "object", "required": ["a", "b"], "properties": {
            "a": {"type": "integer", "minimum": 0}, "b": {"$ref": "#/components/schemas/B"},
            "c": {"oneOf": [{"type": "null"}, {"type": "array", "items": {"type": "string"}}]}}});
        let schemas = json!({"B": {"type": "string", "enum": ["x", "y"]}});
        let found = |value: Value| {
            let mut found = Vec::new();
            faults(&schema, &value, &schemas, "", &mut found);
            found.len()
        };
        assert_eq!(found(json!({"a": 1, "b": "x", "c": ["s"]})), 0);
        assert_eq!(found(json!({"a": 1, "b": "x", "c": null})), 0);
        assert_eq!(found(json!({"a": -1, "b": "z"})), 2);
        assert_eq!(found(json!({"a": "1", "c": [1]})), 3);
    }

    #[test]
    fn what_has_no_word_is_named() {
        let mut description = json!({"paths": {"/api/v1/x": {"get": {"responses": {"200": {"content": {
            "application/json": {"schema": {"type": "object", "properties": {
                "hall": {"type": "string"}, "never_heard_of": {"type": "string"}}}}}}}}}}});
        assert_eq!(complete(&mut description), ["/x.never_heard_of"]);
        let example =
            &description["paths"]["/api/v1/x"]["get"]["responses"]["200"]["content"]["application/json"];
        assert_eq!(example["example"], json!({"hall": "450103-01"}));
    }
}
