package script

// call: [...end] name(arguments) = result [ERRNO (words)] [(words)]
func (p *parser) call() (*SystemCall, error) {
	c := &SystemCall{}
	var err error
	if p.accept("...") {
		c.Blocks = true
		if c.End, err = p.seconds(); err != nil {
			return nil, err
		}
	}
	name := p.next()
	if name.kind != tokWord {
		return nil, p.fail(name, "expected a packet, a system call, a command or code, found %v", name)
	}
	c.Name = name.text
	if err := p.expect("("); err != nil {
		return nil, err
	}
	if c.Args, err = p.list(")"); err != nil {
		return nil, err
	}
	if err := p.expect("="); err != nil {
		return nil, err
	}
	if c.Result, err = p.expr(); err != nil {
		return nil, err
	}
	if p.peek().kind == tokWord {
		c.Errno = p.next().text
		if p.peek().text != "(" {
			return nil, p.fail(p.peek(), "expected (what %s says), found %v", c.Errno, p.peek())
		}
	}
	for range 2 {
		if p.accept("(") {
			if err := p.note(); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// note skips words up to the closing parenthesis.
func (p *parser) note() error {
	for n := 0; ; n++ {
		switch t := p.next(); {
		case t.kind == tokPunct && t.text == ")" && n > 0:
			return nil
		case t.kind != tokWord:
			return p.fail(t, "expected words and ), found %v", t)
		}
	}
}

// list takes expressions up to the closing punctuation.
func (p *parser) list(end string) ([]Expr, error) {
	var list []Expr
	if p.accept(end) {
		return list, nil
	}
	for {
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		list = append(list, e)
		if p.accept(end) {
			return list, nil
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
	}
}

// expr: term | term …
func (p *parser) expr() (Expr, error) {
	if p.depth++; p.depth > maxDepth {
		return Expr{}, p.fail(p.peek(), "expression nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	e, err := p.term()
	if err != nil || p.peek().text != "|" || p.peek().kind != tokPunct {
		return e, err
	}
	or := Expr{Kind: Or, List: []Expr{e}}
	for p.accept("|") {
		if e, err = p.term(); err != nil {
			return e, err
		}
		or.List = append(or.List, e)
	}
	return or, nil
}

func (p *parser) term() (Expr, error) {
	t := p.next()
	switch {
	case t.kind == tokInt, t.kind == tokHex:
		return Expr{Kind: Integer, Int: t.num}, nil
	case t.kind == tokString:
		e := Expr{Kind: String, Text: t.text}
		for p.peek().kind == tokString { // neighbours are one string
			e.Text += p.next().text
		}
		p.accept("...") // what a string is cut with
		return e, nil
	case t.kind == tokWord:
		if !p.accept("(") {
			return Expr{Kind: Word, Text: t.text}, nil
		}
		args, err := p.list(")")
		return Expr{Kind: Apply, Text: t.text, List: args}, err
	case t.kind == tokPunct && t.text == "...":
		return Expr{Kind: Ellipsis}, nil
	case t.kind == tokPunct && t.text == "[":
		l, err := p.list("]")
		return Expr{Kind: List, List: l}, err
	case t.kind == tokPunct && t.text == "{":
		return p.braces()
	}
	return Expr{}, p.fail(t, "expected a value, found %v", t)
}

// braces: {value, …} or {name = value, …} or {name(value) = value, …}, after the opening brace.
func (p *parser) braces() (Expr, error) {
	e := Expr{Kind: List}
	if p.accept("}") {
		return e, nil
	}
	for {
		v, err := p.expr()
		if err != nil {
			return e, err
		}
		if at := p.peek(); (v.Kind == Word || v.Kind == Apply) && p.accept("=") {
			value, err := p.expr()
			if err != nil {
				return e, err
			}
			if e.Kind = Struct; len(e.List) > 0 {
				return e, p.fail(at, "a named member among nameless ones")
			}
			e.Fields = append(e.Fields, Field{v.Text, value})
		} else if e.Kind == Struct {
			return e, p.fail(at, "a nameless member among named ones")
		} else {
			e.List = append(e.List, v)
		}
		if p.accept("}") {
			return e, nil
		}
		if err := p.expect(","); err != nil {
			return e, err
		}
	}
}
