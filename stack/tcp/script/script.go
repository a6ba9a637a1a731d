package script

import "fmt"

// Script is a parsed .pkt file.
type Script struct {
	File    string
	Options []Option // --name=value lines
	Init    string   // command to run before the clock starts
	Events  []Event
	Cleanup string // command to run at the end
}

// Option is a --name=value at the head of a script.
type Option struct {
	Line        int
	Name, Value string
}

// Event is one timed line: exactly one of Packet, Call, Command and Code is set.
type Event struct {
	Line    int
	Time    Time
	Packet  *Packet
	Call    *SystemCall
	Command string
	Code    *Code
}

// TimeKind says what an event's time counts from.
type TimeKind uint8

// The kinds of times.
const (
	Absolute      TimeKind = iota // since the script's beginning
	Relative                      // +: since the event before
	AbsoluteRange                 // a~b
	RelativeRange                 // +a~+b
	Any                           // *: whenever an outgoing packet comes
)

// Time is when an event happens, in nanoseconds.
type Time struct {
	Kind    TimeKind
	At, End int64 // End: of a range
}

// SystemCall is one call with its arguments and what it must return.
type SystemCall struct {
	Name   string
	Args   []Expr
	Blocks bool  // it is to return at End and not at once
	End    int64 // nanoseconds, counted as the event's time
	Result Expr
	Errno  string // "" if not checked
}

// ExprKind is the form of an Expr.
type ExprKind uint8

// The forms of expressions.
const (
	Ellipsis ExprKind = iota // ...
	Integer
	Word
	String
	Or     // List[0] | List[1] | …
	List   // [a, b] or {a, b}
	Struct // {name = value, …}
	Apply  // name(a, b)
)

// Expr is an argument or a result.
type Expr struct {
	Kind   ExprKind
	Int    int64
	Text   string // of a Word, String or Apply
	List   []Expr
	Fields []Field
}

// Field is a member of a Struct.
type Field struct {
	Name  string
	Value Expr
}

// field returns a member of a Struct.
func (e *Expr) field(name string) (Expr, bool) {
	for _, f := range e.Fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return Expr{}, false
}

// String is the expression as a script writes it.
func (e Expr) String() string {
	join := func(open, separator, end string) string {
		s := open
		for i, x := range e.List {
			if i > 0 {
				s += separator
			}
			s += x.String()
		}
		return s + end
	}
	switch e.Kind {
	case Integer:
		return fmt.Sprint(e.Int)
	case Word:
		return e.Text
	case String:
		return `"` + e.Text + `"`
	case Or:
		return join("", "|", "")
	case List:
		return join("[", ", ", "]")
	case Apply:
		return join(e.Text+"(", ", ", ")")
	case Struct:
		s := "{"
		for i, f := range e.Fields {
			if i > 0 {
				s += ", "
			}
			s += f.Name + " = " + f.Value.String()
		}
		return s + "}"
	}
	return "..."
}
