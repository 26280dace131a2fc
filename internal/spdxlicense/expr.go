package spdxlicense

import "strings"

// An Expr is an SPDX licence expression as a tree: either an operator with two
// or more operands, or a licence.
type Expr struct {
	Op   string // "AND", "OR", or "" for a licence
	Args []*Expr

	License   string // as Normalize writes it, a trailing "+" included
	Exception string // after WITH
}

// Parse reads a licence expression, as [Normalize] does.
func Parse(expr string) (*Expr, error) {
	normal, err := Normalize(expr)
	if err != nil {
		return nil, err
	}
	p := treeParser{strings.Fields(strings.NewReplacer("(", "( ", ")", " )").Replace(normal))}
	return p.list("OR"), nil // checked, and not deeper than maxDepth
}

// treeParser makes the tree of an expression that is known to be well-formed.
type treeParser struct{ tokens []string }

func (p *treeParser) take(word string) bool {
	if len(p.tokens) > 0 && p.tokens[0] == word {
		p.tokens = p.tokens[1:]
		return true
	}
	return false
}

func (p *treeParser) list(op string) *Expr {
	next := func() *Expr {
		if op == "OR" {
			return p.list("AND")
		}
		return p.term()
	}
	e := &Expr{Op: op, Args: []*Expr{next()}}
	for p.take(op) {
		e.Args = append(e.Args, next())
	}
	if len(e.Args) == 1 {
		return e.Args[0]
	}
	return e
}

func (p *treeParser) term() *Expr {
	if p.take("(") {
		e := p.list("OR")
		p.take(")")
		return e
	}
	e := &Expr{License: p.tokens[0]}
	p.tokens = p.tokens[1:]
	if p.take("WITH") {
		e.Exception = p.tokens[0]
		p.tokens = p.tokens[1:]
	}
	return e
}

// String writes the expression.
func (e *Expr) String() string {
	if e.Op == "" {
		if e.Exception != "" {
			return e.License + " WITH " + e.Exception
		}
		return e.License
	}
	parts := make([]string, len(e.Args))
	for i, a := range e.Args {
		parts[i] = a.String()
		if a.Op != "" {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, " "+e.Op+" ")
}

// IDs returns all identifiers of the licence list.
func IDs() []string {
	ids := make([]string, 0, len(list().licenses))
	for _, id := range list().licenses {
		ids = append(ids, id)
	}
	return ids
}
