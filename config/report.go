package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is a wrong place in a config file.
type Error struct {
	File    string
	Line    int // 0: the place is something that is missing
	Section string
	Key     string // empty: the section itself
	Value   string
	Want    string // what is wrong and what would be right
}

func (e *Error) Error() string {
	return where(e.File, e.Line, e.Section, e.Key, e.Value) + ": " + e.Want
}

// Warning is a key or section that is unknown or has no effect.
type Warning struct {
	File    string
	Line    int
	Section string
	Key     string // empty: the section itself
	Text    string
}

func (w Warning) String() string { return where(w.File, w.Line, w.Section, w.Key, "") + ": " + w.Text }

func where(file string, line int, section, key, value string) string {
	var b strings.Builder
	b.WriteString(file)
	if line > 0 {
		fmt.Fprintf(&b, ":%d", line)
	}
	if section != "" {
		fmt.Fprintf(&b, ": [%s]", section)
	}
	if key != "" {
		b.WriteString(" " + key)
	}
	if value != "" {
		b.WriteString("=" + value)
	}
	return b.String()
}

// fail notes a wrong value, or a key that is missing from its section; key may be empty for the section itself.
func (f *file) fail(section, key, want string, args ...any) {
	f.errs = append(f.errs, &Error{
		File: f.name, Line: cmp.Or(f.line(section, key), f.line(section, "")), Section: section, Key: key, Value: f.values[section][key], Want: fmt.Sprintf(want, args...),
	})
}

func (f *file) warn(section, key, text string, args ...any) {
	f.warnings = append(f.warnings, Warning{
		File: f.name, Line: f.line(section, key), Section: section, Key: key, Text: fmt.Sprintf(text, args...),
	})
}

// err joins all errors in the order of the file.
func (f *file) err() error {
	slices.SortStableFunc(f.errs, func(a, b *Error) int { return cmp.Compare(a.Line, b.Line) })
	var all []error
	for _, e := range f.errs {
		all = append(all, e)
	}
	return errors.Join(all...)
}

// didYouMean is the known name next to an unknown one, as a clause, or nothing.
func didYouMean(name string, known []string) string {
	best, least := "", len(name)/3+2
	if len(name) > 64 {
		return ""
	}
	for _, k := range known {
		if max(len(k)-len(name), len(name)-len(k)) >= least { // it cannot be nearer than that
			continue
		}
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is how many letters must be changed, added or removed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}
