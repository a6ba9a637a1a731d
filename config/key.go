package config

import (
	"slices"
	"strings"
)

// key is one key of a section whose values go into a T.
type key[T any] struct {
	name string
	help string // a sentence for docs/configuration.md
	// set reads the value; its error says what is wrong and what would be right. nil: the key has no effect.
	set func(into *T, value string) error
	// without says why the key has no effect, and asIf which value is no worse for it: then there is no warning.
	without, asIf string
}

// apply reads the keys of a section by their table.
func apply[T any](f *file, section string, into *T, table []key[T]) {
	for _, name := range f.keys(section) {
		i := slices.IndexFunc(table, func(k key[T]) bool { return k.name == name })
		switch {
		case i < 0:
			f.warn(section, name, "unknown key, ignored%s", didYouMean(name, names(table)))
		case table[i].set == nil:
			if value := f.values[section][name]; value != "" && value != table[i].asIf {
				f.warn(section, name, "has no effect: %s", table[i].without)
			}
		default:
			value := f.values[section][name]
			if value == "" {
				continue // as if it were not there
			}
			if err := table[i].set(into, value); err != nil {
				f.fail(section, name, "%v", err)
			}
		}
	}
}

// has tells whether a key has a value.
func (f *file) has(section, key string) bool { return f.values[section][key] != "" }

// keys are the names of a section's keys, sorted.
func (f *file) keys(section string) []string {
	var names []string
	for name := range f.values[section] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func names[T any](table []key[T]) []string {
	var all []string
	for _, k := range table {
		all = append(all, k.name)
	}
	return all
}

// numbered takes "port3" apart into kind "port" and index 3; ok is false if it is no name of that form.
func numbered(section string) (kind string, index int, ok bool) {
	kind = strings.TrimRight(section, "0123456789")
	if digits := section[len(kind):]; digits != "" && len(digits) <= 4 && (digits == "0" || digits[0] != '0') {
		for _, d := range digits {
			index = index*10 + int(d-'0')
		}
		return kind, index, true
	}
	return "", 0, false
}
