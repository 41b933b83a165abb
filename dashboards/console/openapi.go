package console

import (
	"encoding/json"
	"reflect"
	"regexp"
	"strings"
	"time"

	"borderwatch/dashboards/service"
)

// object is a JSON object of the document.
type object = map[string]any

// document writes the OpenAPI 3.1 document of the routes.
func (c *Console) document() ([]byte, error) {
	schemas := &schemaSet{known: object{}}
	paths := object{}
	for _, r := range c.routes() {
		path, ok := paths[r.Path].(object)
		if !ok {
			path = object{}
			paths[r.Path] = path
		}
		path[strings.ToLower(r.Method)] = schemas.operation(r)
	}
	schemas.of(reflect.TypeFor[problem]())
	return json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "borderwatch", "version": c.opt.Version,
			"description": "Cases, alerts and what people did with them. Sign in with an API token (Authorization: Bearer) or a session of the console.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []any{object{"url": "/"}},
		"security": []any{object{"token": []any{}}, object{"session": []any{}}},
		"paths":    paths,
		"components": object{
			"schemas": schemas.known,
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer"},
				"session": object{"type": "apiKey", "in": "cookie", "name": "__Host-borderwatch"},
			},
		},
	}, "", "  ")
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

func (s *schemaSet) operation(r route) object {
	op := object{
		"operationId": operationID(r), "summary": r.Summary, "x-operation": string(r.Operation), "x-roles": service.RolesFor(r.Operation),
		"responses": s.responses(r),
	}
	params := []any{}
	for _, m := range pathParam.FindAllStringSubmatch(r.Path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range r.Query {
		param := object{"name": p.Name, "in": "query", "schema": object{"type": "string"}}
		if p.About != "" {
			param["description"] = p.About
		}
		params = append(params, param)
	}
	if len(params) > 0 {
		op["parameters"] = params
	}
	if r.Body != nil {
		op["requestBody"] = object{"required": true, "content": content("application/json", s.of(reflect.TypeOf(r.Body)))}
	}
	return op
}

// operationID is the method and the path as one word: get_cases_id.
func operationID(r route) string {
	path := strings.NewReplacer("/api/v1/", "", "{", "", "}", "", "/", "_").Replace(r.Path)
	return strings.ToLower(r.Method) + "_" + path
}

func content(kind string, schema object) object { return object{kind: object{"schema": schema}} }

func (s *schemaSet) responses(r route) object {
	out := object{}
	if r.Answer == nil {
		out["204"] = object{"description": "done"}
	} else {
		out["200"] = object{"description": "the answer", "content": content("application/json", s.of(reflect.TypeOf(r.Answer)))}
	}
	for code, about := range map[string]string{"400": "not acceptable", "401": "sign in first", "403": "your roles do not allow this", "404": "there is no such thing", "409": "not in this state"} {
		out[code] = object{"description": about, "content": content("application/problem+json", s.of(reflect.TypeFor[problem]()))}
	}
	return out
}

// schemaSet makes JSON Schemas of Go types, each struct once.
type schemaSet struct{ known object }

func (s *schemaSet) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[service.Role]():
		return object{"type": "string", "enum": service.Roles}
	case t == reflect.TypeFor[service.State]():
		return object{"type": "string", "enum": service.States}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Struct:
		return s.structure(t)
	}
	return object{"type": "integer"}
}

func (s *schemaSet) structure(t reflect.Type) object {
	name := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:] + "_" + t.Name()
	if _, ok := s.known[name]; !ok {
		s.known[name] = nil // a type that holds itself ends here
		properties, required := object{}, []string{}
		s.fields(t, properties, &required)
		s.known[name] = object{"type": "object", "properties": properties, "required": required}
	}
	return object{"$ref": "#/components/schemas/" + name}
}

// fields adds the properties of a struct, those of embedded ones as its own, as encoding/json does.
func (s *schemaSet) fields(t reflect.Type, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			s.fields(f.Type, properties, required)
			continue
		}
		properties[name] = s.of(f.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}
