package config

import (
	"reflect"
	"strings"

	"github.com/agnivade/levenshtein"
)

// EnvPrefix starts the name of every environment variable.
const EnvPrefix = "BORDERWATCH_"

// key is one name of the configuration: a section, a list of sections, or a value.
type key struct {
	path     string // "kafka.tls.ca_file"; "feeds[].name" inside a list
	name     string // "ca_file"
	typ      reflect.Type
	children []*key // of a section or of each member of a list of sections
}

func (k *key) section() bool { return k.typ.Kind() == reflect.Struct }
func (k *key) list() bool    { return k.typ.Kind() == reflect.Slice && len(k.children) > 0 }

func (k *key) child(name string) *key {
	for _, c := range k.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// env is the name of the variable that sets a value.
func (k *key) env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// schema is the tree of all keys, derived from Config.
var schema = describe("", "", reflect.TypeFor[Config]())

// settable lists the keys that a variable or a flag can set, in the order of the structs.
var settable = collect(schema, nil)

func describe(path, name string, t reflect.Type) *key {
	k := &key{path: path, name: name, typ: t}
	inner := t
	if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct {
		inner, path = t.Elem(), path+"[]"
	}
	if inner.Kind() != reflect.Struct {
		return k
	}
	for i := range inner.NumField() {
		f := inner.Field(i)
		child := f.Tag.Get("koanf")
		k.children = append(k.children, describe(join(path, child), child, f.Type))
	}
	return k
}

func collect(k *key, into []*key) []*key {
	if !k.section() {
		return append(into, k)
	}
	for _, c := range k.children {
		into = collect(c, into)
	}
	return into
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// Keys lists the path of every key, those of a list of sections as feeds[].name.
func Keys() []string { return paths(schema, nil) }

func paths(k *key, into []string) []string {
	if k.path != "" {
		into = append(into, k.path)
	}
	for _, c := range k.children {
		into = paths(c, into)
	}
	return into
}

// nearest returns the name most like the wrong one, "" when none is near. A name that ends alike is near: whoever
// writes kafka.password means kafka.sasl.password.
func nearest(wrong string, names []string) string {
	for _, name := range names {
		if len(lastPart(wrong)) > 2 && strings.HasPrefix(name, wrong) && !strings.Contains(name[len(wrong):], ".") {
			return name // clickhouse.user means clickhouse.username
		}
	}
	best, distance := "", max(2, len(wrong)/4)+1
	for _, name := range names {
		d := levenshtein.ComputeDistance(wrong, name)
		if d < distance {
			best, distance = name, d
		}
	}
	if best != "" {
		return best
	}
	last := lastPart(wrong)
	first, _, _ := strings.Cut(wrong, ".")
	for _, name := range names {
		if lastPart(name) == last && strings.HasPrefix(name, first+".") {
			return name
		}
	}
	return ""
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }
