package script

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// commands runs the shell commands of a script: settings become sysctls of the stack, sleep lets time pass, and
// what prepares a Linux host (defaults.sh, tc, ip tcp_metrics) is left out.
func (r *runner) commands(text string) error {
	text = strings.NewReplacer("\\\n", " ", "&&", "\n", ";", "\n").Replace(text)
	for line := range strings.Lines(text) {
		if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) == "" {
			continue
		}
		words, err := split(line)
		if err != nil {
			return err
		}
		if err := r.command(words); err != nil {
			return fmt.Errorf("command %q: %w", strings.TrimSpace(line), err)
		}
	}
	return nil
}

func (r *runner) command(words []string) error {
	name := words[0][strings.LastIndexByte(words[0], '/')+1:]
	switch {
	case name == "defaults.sh", name == "tc", name == "true", name == "ip" && len(words) > 1 && words[1] == "tcp_metrics":
		return nil
	case name == "sleep" && len(words) == 2:
		s, err := strconv.ParseFloat(words[1], 64)
		if err != nil || s < 0 || s > 1e6 {
			return fmt.Errorf("%s is not in 0 … 1000000 seconds", words[1])
		}
		return r.lab.Advance(r.lab.Now() + int64(s*float64(time.Second)))
	case name == "sysctl":
		for _, w := range words[1:] {
			if w == "-q" || w == "-w" || strings.HasPrefix(w, ">") || w == "2>&1" || w == "/dev/null" {
				continue
			}
			option, value, ok := strings.Cut(w, "=")
			if !ok {
				return fmt.Errorf("%s is not name=value", w)
			}
			if err := r.sysctl(option, value); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("not supported: only sysctl and sleep are")
}

// split cuts a command into words; quotes hold spaces together.
func split(line string) (words []string, err error) {
	var b strings.Builder
	quote, in := rune(0), false
	for _, c := range line + " " {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if in {
				words = append(words, b.String())
				b.Reset()
			}
			in = false
		default:
			b.WriteRune(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("command %q: %c without its end", strings.TrimSpace(line), quote)
	}
	return words, nil
}
