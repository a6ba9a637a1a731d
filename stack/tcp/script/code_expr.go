package script

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// node is an expression: it yields a float64 or a string.
type node func(vars map[string]float64) (any, error)

type codeParser struct {
	s     string // what is left of the statement
	depth int
}

func (p *codeParser) space() { p.s = strings.TrimLeft(p.s, " \t\n\r\\") }

func (p *codeParser) take(text string) bool {
	p.space()
	if !strings.HasPrefix(p.s, text) || isWord(text[0]) && len(p.s) > len(text) && isWord(p.s[len(text)]) {
		return false
	}
	p.s = p.s[len(text):]
	return true
}

func (p *codeParser) word() string {
	p.space()
	n := span(p.s, isWord)
	w := p.s[:n]
	p.s = p.s[n:]
	return w
}

// or, and, not: Python's, over truth as 0 and 1.
func (p *codeParser) or() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("expression nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	left, err := p.and()
	for err == nil && p.take("or") {
		var right node
		if right, err = p.and(); err == nil {
			left = logic(left, right, true)
		}
	}
	return left, err
}

func (p *codeParser) and() (node, error) {
	left, err := p.not()
	for err == nil && p.take("and") {
		var right node
		if right, err = p.not(); err == nil {
			left = logic(left, right, false)
		}
	}
	return left, err
}

// logic evaluates right only if left does not decide.
func logic(left, right node, decides bool) node {
	return func(vars map[string]float64) (any, error) {
		v, err := left(vars)
		if err != nil || truth(v) == decides {
			return v, err
		}
		return right(vars)
	}
}

func (p *codeParser) not() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("expression nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	if !p.take("not") {
		return p.comparison()
	}
	x, err := p.not()
	if err != nil {
		return nil, err
	}
	return func(vars map[string]float64) (any, error) {
		v, err := x(vars)
		return number64(!truth(v)), err
	}, nil
}

// comparison: a <= b < c, each neighbour compared.
func (p *codeParser) comparison() (node, error) {
	first, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	var ops []string
	operands := []node{first}
next:
	for _, op := range []string{"==", "!=", "<=", ">=", "<", ">"} {
		if p.take(op) {
			x, err := p.binary(0)
			if err != nil {
				return nil, err
			}
			ops, operands = append(ops, op), append(operands, x)
			goto next
		}
	}
	if len(ops) == 0 {
		return first, nil
	}
	return func(vars map[string]float64) (any, error) {
		left, err := operands[0](vars)
		for i := 0; err == nil && i < len(ops); i++ {
			var right any
			if right, err = operands[i+1](vars); err != nil {
				break
			}
			ok, cerr := compare(ops[i], left, right)
			if cerr != nil || !ok {
				return 0.0, cerr
			}
			left = right
		}
		return 1.0, err
	}, nil
}

func compare(op string, a, b any) (bool, error) {
	x, okx := a.(float64)
	y, oky := b.(float64)
	if !okx || !oky {
		return false, fmt.Errorf("%v %s %v: only numbers are compared", a, op, b)
	}
	switch op {
	case "==":
		return x == y, nil
	case "!=":
		return x != y, nil
	case "<=":
		return x <= y, nil
	case ">=":
		return x >= y, nil
	case "<":
		return x < y, nil
	}
	return x > y, nil
}

// operators from the loosest to the tightest; // before /, so that the longer is tried first.
var operators = [][]string{{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "//", "/", "%"}}

func (p *codeParser) binary(level int) (node, error) {
	if level == len(operators) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	if err != nil {
		return nil, err
	}
next:
	for _, op := range operators[level] {
		if p.take(op) {
			right, err := p.binary(level + 1)
			if err != nil {
				return nil, err
			}
			left = arithmetic(op, left, right)
			goto next
		}
	}
	return left, nil
}

func arithmetic(op string, left, right node) node {
	return func(vars map[string]float64) (any, error) {
		a, err := left(vars)
		if err != nil {
			return nil, err
		}
		b, err := right(vars)
		if err != nil {
			return nil, err
		}
		if format, ok := a.(string); ok && op == "%" {
			return fmt.Sprint(format, " % ", b), nil
		}
		x, okx := a.(float64)
		y, oky := b.(float64)
		if !okx || !oky {
			return nil, fmt.Errorf("%v %s %v: only numbers have this operator", a, op, b)
		}
		return calculate(op, x, y)
	}
}

func calculate(op string, x, y float64) (any, error) {
	if y == 0 && (op == "/" || op == "//" || op == "%") {
		return nil, fmt.Errorf("%v %s 0: division by zero", x, op)
	}
	i, j := int64(x), int64(y)
	if (op == "<<" || op == ">>") && (j < 0 || j > 62) {
		return nil, fmt.Errorf("%v %s %v: the shift is not in 0 … 62", x, op, y)
	}
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	case "/":
		return x / y, nil
	case "//":
		return math.Floor(x / y), nil
	case "%":
		return x - y*math.Floor(x/y), nil
	case "|":
		return float64(i | j), nil
	case "^":
		return float64(i ^ j), nil
	case "&":
		return float64(i & j), nil
	case "<<":
		return float64(i << j), nil
	}
	return float64(i >> j), nil
}

func (p *codeParser) unary() (node, error) {
	negate, invert := p.take("-"), false
	if !negate {
		invert = p.take("~")
	}
	if !negate && !invert {
		return p.atom()
	}
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("expression nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	x, err := p.unary()
	if err != nil {
		return nil, err
	}
	return func(vars map[string]float64) (any, error) {
		v, err := x(vars)
		f, ok := v.(float64)
		if err == nil && !ok {
			err = fmt.Errorf("%v is no number", v)
		}
		if negate {
			return -f, err
		}
		return float64(^int64(f)), err
	}, nil
}

func (p *codeParser) atom() (node, error) {
	p.space()
	if p.s == "" {
		return nil, fmt.Errorf("the expression ends too early")
	}
	switch c := p.s[0]; {
	case c == '(':
		return p.tuple()
	case c == '\'' || c == '"':
		end := strings.IndexByte(p.s[1:], c)
		if end < 0 {
			return nil, fmt.Errorf("string without its end")
		}
		text := p.s[1 : 1+end]
		p.s = p.s[end+2:]
		return func(map[string]float64) (any, error) { return text, nil }, nil
	case isDigit(c) || c == '.':
		kind, n := number(p.s)
		if n == 0 {
			return nil, fmt.Errorf("unexpected %q", p.s)
		}
		text := p.s[:n]
		p.s = p.s[n:]
		var v float64
		var err error
		if kind == tokFloat {
			v, err = strconv.ParseFloat(text, 64)
		} else {
			var i int64
			i, err = strconv.ParseInt(text, 0, 64)
			v = float64(i)
		}
		return func(map[string]float64) (any, error) { return v, nil }, err
	}
	name := p.word()
	if name == "" {
		return nil, fmt.Errorf("unexpected %q", p.s)
	}
	return variable(name), nil
}

func variable(name string) node {
	return func(vars map[string]float64) (any, error) {
		if v, ok := vars[name]; ok {
			return v, nil
		}
		if v, ok := symbol(name); ok {
			return float64(v), nil
		}
		return nil, fmt.Errorf("%s is not known", name)
	}
}

// tuple: ( expr, … ); one expression is itself, several are only for messages.
func (p *codeParser) tuple() (node, error) {
	if !p.take("(") {
		return p.or()
	}
	var list []node
	for !p.take(")") {
		x, err := p.or()
		if err != nil {
			return nil, err
		}
		list = append(list, x)
		if !p.take(",") && !strings.HasPrefix(p.s, ")") {
			return nil, fmt.Errorf("expected , or ) before %q", p.s)
		}
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return func(vars map[string]float64) (any, error) {
		var texts []string
		for _, x := range list {
			v, err := x(vars)
			if err != nil {
				return nil, err
			}
			texts = append(texts, fmt.Sprint(v))
		}
		return "(" + strings.Join(texts, ", ") + ")", nil
	}, nil
}

func truth(v any) bool {
	f, ok := v.(float64)
	return ok && f != 0 || !ok && v != "" && v != nil
}

func number64(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
