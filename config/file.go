package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"gopkg.in/ini.v1"
)

// file is a config file on its way to a Config.
type file struct {
	name     string
	text     []byte
	values   map[string]map[string]string // section, key
	places   map[place][]int              // lines
	errs     []*Error
	warnings []Warning
}

// delimiter joins section and key in viper's flat names; it can stand in neither.
const delimiter = "\n"

// fileMax is the size of a file that is read at all, in bytes.
const fileMax = 64 << 10

// read has viper parse the text, by the INI codec below.
func read(name string, text []byte) (*file, error) {
	f := &file{name: name, text: text, values: map[string]map[string]string{}}
	if len(text) > fileMax {
		return nil, fmt.Errorf("%s: more than %d bytes are no config file", name, fileMax)
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return nil, fmt.Errorf("%s:%d: a NUL byte; the file must be text", name, 1+bytes.Count(text[:i], []byte("\n")))
	}
	f.findLines()
	codecs := viper.NewCodecRegistry()
	if err := codecs.RegisterCodec("ini", codec{f}); err != nil {
		return nil, err
	}
	v := viper.NewWithOptions(viper.WithCodecRegistry(codecs), viper.KeyDelimiter(delimiter))
	v.SetConfigType("ini")
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		var parse viper.ConfigParseError
		if errors.As(err, &parse) {
			err = parse.Unwrap()
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, flat := range v.AllKeys() {
		section, key, _ := strings.Cut(flat, delimiter)
		if f.values[section] == nil {
			f.values[section] = map[string]string{}
		}
		f.values[section][key] = v.GetString(flat)
	}
	return f, nil
}

// codec is INI for viper, whose own is no longer in its core. It also finds what stands twice.
type codec struct{ f *file }

func (c codec) Decode(b []byte, into map[string]any) error {
	parsed, err := ini.LoadSources(ini.LoadOptions{
		Insensitive:                true,
		IgnoreContinuation:         true,
		IgnoreInlineComment:        true, // see stripComment
		AllowShadows:               true, // so that what stands twice is seen
		AllowDuplicateShadowValues: true,
		AllowNonUniqueSections:     true,
	}, b)
	if err != nil {
		return errors.New(strings.TrimSpace(err.Error()))
	}
	for _, s := range parsed.Sections() {
		name := s.Name()
		if into[name] != nil {
			c.f.fail(name, "", "the section stands more than once, in lines %v; put its keys together", c.f.places[place{name, ""}])
			continue
		}
		keys := map[string]any{}
		for _, k := range s.Keys() {
			values := k.ValueWithShadows()
			if len(values) > 1 {
				c.f.fail(name, k.Name(), "the key stands more than once, in lines %v; keep one", c.f.places[place{name, k.Name()}])
			}
			keys[k.Name()] = ""
			if len(values) > 0 {
				keys[k.Name()] = stripComment(values[0])
			}
		}
		into[name] = keys
	}
	return nil
}

func (codec) Encode(map[string]any) ([]byte, error) {
	return nil, errors.New("config: writing is not supported")
}

// stripComment cuts a comment off a value: it begins with ; or # at the start or after a space. In 10.0.0.1;10.0.0.2
// the ; is none.
func stripComment(v string) string {
	for i := range len(v) {
		if (v[i] == ';' || v[i] == '#') && (i == 0 || v[i-1] == ' ' || v[i-1] == '\t') {
			return strings.TrimSpace(v[:i])
		}
	}
	return strings.TrimSpace(v)
}

// place is a key of a section, or a section if key is empty.
type place struct{ section, key string }

// findLines notes in which lines each section and key stands: the parser does not tell.
func (f *file) findLines() {
	f.places = map[place][]int{}
	in := strings.ToLower(ini.DefaultSection)
	for i, l := range strings.Split(strings.ToLower(string(f.text)), "\n") {
		at := place{section: in}
		l = strings.TrimSpace(l)
		if end := strings.LastIndexByte(l, ']'); end > 0 && l[0] == '[' {
			in = l[1:end]
			at.section = in
		} else if n := strings.IndexAny(l, "=:"); n > 0 {
			at.key = strings.TrimSpace(l[:n])
		} else {
			continue
		}
		f.places[at] = append(f.places[at], i+1)
	}
}

// line is the first in which a key, or a section if key is empty, stands; 0: nowhere.
func (f *file) line(section, key string) int {
	if found := f.places[place{section, key}]; len(found) > 0 {
		return found[0]
	}
	return 0
}

// sections are the names of all sections, sorted.
func (f *file) sections() []string {
	var names []string
	for name := range f.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
