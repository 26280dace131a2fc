package report

import (
	"bytes"
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/verify"
)

// The measures of a picture, in CSS pixels.
const (
	boxWidth  = 176
	boxHeight = 84
	gapAcross = 76 // between layers that follow each other to the right: room for a label
	gapDown   = 60 // between layers that follow each other downwards
	gapBeside = 22 // between the boxes of one layer
	laneWidth = 20 // what a link needs that passes a layer
	margin    = 12
	boxText   = 24 // columns of text in a box

	narrowWidth = 156 // boxWidth and boxText from top to bottom: two boxes
	narrowText  = 21  // stand beside each other on a telephone
	narrowMost  = 2
)

// A picture is a layered drawing of a graph: Sugiyama's method in its simple
// form (layers by longest path, order by barycentre, positions by averaging).
type picture struct {
	g      *graph
	down   bool // layers from top to bottom, else from left to right
	layers [][]*spot
	spots  []*spot // of the nodes, then of the bends
	routes []route
	width  float64
	height float64

	boxWidth, boxText int
}

// A spot is where a node stands, or where a link passes a layer.
type spot struct {
	node  int // -1 for a bend
	layer int
	at    float64 // the middle, along the layer
	size  float64 // along the layer
	prev  []*spot // neighbours in the layers before and after
	next  []*spot
	pulls []pull // the same, for placing
}

// A pull is how much a spot wants to be level with another.
type pull struct {
	to     *spot
	weight float64
}

type route struct {
	link  *link
	spots []*spot
}

func newPicture(g *graph, down bool) *picture {
	p := &picture{g: g, down: down, boxWidth: boxWidth, boxText: boxText}
	layer := layersOf(g)
	size := float64(boxHeight)
	if down {
		p.boxWidth, p.boxText = narrowWidth, narrowText
		size = narrowWidth
		thin(g, layer)
	}
	most := 0
	for i := range g.nodes {
		p.spots = append(p.spots, &spot{node: i, layer: layer[i], size: size})
		most = max(most, layer[i])
	}
	p.layers = make([][]*spot, most+1)
	for _, s := range p.spots {
		p.layers[s.layer] = append(p.layers[s.layer], s)
	}
	for _, l := range g.links {
		r := route{link: l, spots: []*spot{p.spots[l.from]}}
		for n := layer[l.from] + 1; n < layer[l.to] && !l.hidden; n++ {
			bend := &spot{node: -1, layer: n, size: laneWidth}
			p.layers[n] = append(p.layers[n], bend)
			r.spots = append(r.spots, bend)
		}
		r.spots = append(r.spots, p.spots[l.to])
		for i := 1; i < len(r.spots); i++ {
			from, to := r.spots[i-1], r.spots[i]
			from.next, to.prev = append(from.next, to), append(to.prev, from)
			// Long links are to be straight, and what is not drawn matters little.
			weight := 1.0
			switch {
			case l.hidden:
				weight = 0.1
			case from.node < 0 && to.node < 0:
				weight = 4
			case from.node < 0 || to.node < 0:
				weight = 2
			}
			from.pulls, to.pulls = append(from.pulls, pull{to, weight}), append(to.pulls, pull{from, weight})
		}
		p.routes = append(p.routes, r)
	}
	p.order()
	p.place()
	return p
}

// layersOf puts every node behind all that leads to it, as near as it can be to
// what follows. A stage of which nothing is known goes before the next that is.
func layersOf(g *graph) []int {
	linked := make([]bool, len(g.nodes))
	for _, l := range g.links {
		linked[l.from], linked[l.to] = true, true
	}
	artifact := len(g.nodes) - 1
	var idle []int
	flush := func(to int) {
		// Three in a layer, so that a chain that was not examined does not
		// become a line across the page.
		for len(idle) > 0 {
			n := min(3, len(idle))
			for _, i := range idle[len(idle)-n:] {
				g.links = append(g.links, &link{from: i, to: to, hidden: true})
			}
			to = idle[len(idle)-n]
			idle = idle[:len(idle)-n]
		}
	}
	for i := range g.nodes {
		switch {
		case i == artifact || linked[i]:
			if len(idle) > 0 {
				flush(i)
			}
		default:
			idle = append(idle, i)
		}
	}
	layer := make([]int, len(g.nodes))
	var depth func(i int) int
	known := make([]bool, len(g.nodes))
	depth = func(i int) int {
		if !known[i] {
			known[i] = true
			for _, l := range g.links {
				if l.to == i {
					layer[i] = max(layer[i], depth(l.from)+1)
				}
			}
		}
		return layer[i]
	}
	last := 0
	for i := range g.nodes {
		last = max(last, depth(i))
	}
	if !linked[artifact] {
		layer[artifact] = last
		for _, l := range g.links {
			if l.to != artifact && layer[l.to] == last {
				layer[artifact] = last + 1
			}
		}
	}
	for i := range g.nodes {
		next, sole := last+1, true
		for _, l := range g.links {
			if l.to == i {
				sole = false
			}
			if l.from == i {
				next = min(next, layer[l.to])
			}
		}
		if sole && next <= last {
			layer[i] = max(layer[i], next-1)
		}
	}
	return layer
}

// thin moves nodes to later layers until no layer has more than narrowMost,
// stages that others only report on first, as Coffman and Graham's method does.
func thin(g *graph, layer []int) {
	var order, rank []int
	about := make([]bool, len(g.nodes))
	for _, l := range g.links {
		about[l.to] = about[l.to] || l.about
	}
	for i := range g.nodes {
		order = append(order, i)
		rank = append(rank, 2*layer[i])
		if about[i] {
			rank[i]++
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return rank[i] - rank[j] })
	var full []int
	for _, i := range order {
		for _, l := range g.links {
			if l.to == i {
				layer[i] = max(layer[i], layer[l.from]+1)
			}
		}
		for {
			for len(full) <= layer[i] {
				full = append(full, 0)
			}
			if full[layer[i]] < narrowMost {
				break
			}
			layer[i]++
		}
		full[layer[i]]++
	}
}

// order arranges each layer so that links cross little: every spot goes to the
// mean place of its neighbours, layer by layer, forth and back.
func (p *picture) order() {
	index := func() {
		for _, l := range p.layers {
			for i, s := range l {
				s.at = float64(i) - float64(len(l)-1)/2
			}
		}
	}
	index()
	arrange := func(l []*spot, of func(*spot) []*spot) {
		slices.SortStableFunc(l, func(a, b *spot) int {
			x, y := mean(of(a), a.at), mean(of(b), b.at)
			switch {
			case x < y:
				return -1
			case x > y:
				return 1
			}
			return 0
		})
		for i, s := range l {
			s.at = float64(i) - float64(len(l)-1)/2
		}
	}
	for range 8 {
		for _, l := range p.layers {
			arrange(l, func(s *spot) []*spot { return s.prev })
		}
		for i := len(p.layers) - 1; i >= 0; i-- {
			arrange(p.layers[i], func(s *spot) []*spot { return s.next })
		}
	}
}

func mean(spots []*spot, otherwise float64) float64 {
	if len(spots) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, s := range spots {
		sum += s.at
	}
	return sum / float64(len(spots))
}

// place gives every spot its position along its layer: apart from each other in
// the order found, and such that the sum of weight times squared difference
// over all links is small. Each step solves that for one layer while the others
// stand still, so the sum only falls and nothing drifts.
func (p *picture) place() {
	for _, l := range p.layers {
		x := 0.0
		for _, s := range l {
			s.at = x + s.size/2
			x += s.size + gapBeside
		}
		for _, s := range l {
			s.at -= (x - gapBeside) / 2
		}
	}
	for round := range 40 {
		for i := range p.layers {
			l := p.layers[i]
			if round%2 == 1 {
				l = p.layers[len(p.layers)-1-i]
			}
			want, weight := make([]float64, len(l)), make([]float64, len(l))
			for j, s := range l {
				for _, q := range s.pulls {
					want[j] += q.weight * q.to.at
					weight[j] += q.weight
				}
				if weight[j] == 0 {
					want[j], weight[j] = s.at, 0.01
				} else {
					want[j] /= weight[j]
				}
			}
			spread(l, want, weight)
		}
	}
	low, high := p.spots[0].at, p.spots[0].at
	for _, l := range p.layers {
		for _, s := range l {
			low, high = min(low, s.at-s.size/2), max(high, s.at+s.size/2)
		}
	}
	for _, l := range p.layers {
		for _, s := range l {
			s.at += margin - low
		}
	}
	along, across := high-low+2*margin, 2.0*margin
	if p.down {
		across += float64(len(p.layers)*boxHeight + (len(p.layers)-1)*gapDown)
		p.width, p.height = along, across
	} else {
		across += float64(len(p.layers)*p.boxWidth + (len(p.layers)-1)*gapAcross)
		p.width, p.height = across, along
	}
}

// spread moves spots to where they want to be, or as near as their order and
// distance allow: the weighted least squares solution, by pooling adjacent
// violators.
func spread(l []*spot, want, weight []float64) {
	type pool struct {
		sum, weight float64
		n           int
	}
	offset := make([]float64, len(l))
	for i := 1; i < len(l); i++ {
		offset[i] = offset[i-1] + (l[i-1].size+l[i].size)/2 + gapBeside
	}
	var pools []pool
	for i := range l {
		pools = append(pools, pool{(want[i] - offset[i]) * weight[i], weight[i], 1})
		for n := len(pools); n > 1 && pools[n-2].sum/pools[n-2].weight > pools[n-1].sum/pools[n-1].weight; n-- {
			pools[n-2].sum += pools[n-1].sum
			pools[n-2].weight += pools[n-1].weight
			pools[n-2].n += pools[n-1].n
			pools = pools[:n-1]
		}
	}
	i := 0
	for _, q := range pools {
		for range q.n {
			l[i].at = q.sum/q.weight + offset[i]
			i++
		}
	}
}

// start and end are where a layer begins and ends, across.
func (p *picture) start(layer int) float64 {
	if p.down {
		return margin + float64(layer*(boxHeight+gapDown))
	}
	return margin + float64(layer*(p.boxWidth+gapAcross))
}

func (p *picture) end(layer int) float64 {
	if p.down {
		return p.start(layer) + boxHeight
	}
	return p.start(layer) + float64(p.boxWidth)
}

// point turns (across, along) into x and y.
func (p *picture) point(across, along float64) string {
	if p.down {
		return fmt.Sprintf("%.1f %.1f", along, across)
	}
	return fmt.Sprintf("%.1f %.1f", across, along)
}

// ports spreads the ends of links over the side of a box, in the order of their
// other ends, so that they do not run into each other.
func (p *picture) ports() (out, in map[*link]float64) {
	out, in = map[*link]float64{}, map[*link]float64{}
	for i, s := range p.spots {
		for _, side := range []struct {
			ports map[*link]float64
			end   func(l *link) int
			near  func(r *route) *spot
		}{
			{out, func(l *link) int { return l.from }, func(r *route) *spot { return r.spots[1] }},
			{in, func(l *link) int { return l.to }, func(r *route) *spot { return r.spots[len(r.spots)-2] }},
		} {
			var rs []*route
			for j := range p.routes {
				if r := &p.routes[j]; !r.link.hidden && side.end(r.link) == i {
					rs = append(rs, r)
				}
			}
			slices.SortStableFunc(rs, func(a, b *route) int {
				switch x, y := side.near(a).at, side.near(b).at; {
				case x < y:
					return -1
				case x > y:
					return 1
				}
				return 0
			})
			step := min(16, s.size*0.7/float64(max(1, len(rs))))
			for j, r := range rs {
				side.ports[r.link] = s.at + step*(float64(j)-float64(len(rs)-1)/2)
			}
		}
	}
	return out, in
}

// write draws the picture. Every text in it is escaped; there is no style in
// it but classes.
func (p *picture) write(b *bytes.Buffer, r *verify.Report, id string) {
	fmt.Fprintf(b, "<svg id=\"%s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"The chain: %s, %s\">\n", id, p.width, p.height,
		count(len(r.Stages), "stage"), count(len(r.Edges), "flow"))
	fmt.Fprintf(b, "<defs><marker id=\"%s-a\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path class=\"head\" d=\"M0 0.5 8 4 0 7.5z\"/></marker>"+
		"<marker id=\"%s-b\" viewBox=\"0 0 10 10\" refX=\"8\" refY=\"5\" markerWidth=\"10\" markerHeight=\"10\" orient=\"auto\"><path class=\"cross\" d=\"M2 1 8 9M8 1 2 9\"/></marker></defs>\n", id, id)
	out, in := p.ports()
	outs, ins := make([]int, len(p.spots)), make([]int, len(p.spots))
	for _, l := range p.g.links {
		if !l.hidden {
			outs[l.from]++
			ins[l.to]++
		}
	}
	var labels bytes.Buffer
	for _, rt := range p.routes {
		l := rt.link
		if l.hidden {
			continue
		}
		class, marker := "flow", "a"
		switch {
		case l.broken:
			class, marker = "broken", "b"
		case l.about:
			class = "about"
		}
		x, y := p.end(rt.spots[0].layer), out[l]
		fmt.Fprintf(b, "<g class=\"link %s\"><title>", class)
		b.WriteString(esc(linkTitle(p.g, l)))
		fmt.Fprintf(b, "</title><path marker-end=\"url(#%s-%s)\" d=\"M%s", id, marker, p.point(x, y))
		// Where one box has many links, their labels go to the other ends.
		t := 0.4
		if outs[l.from] > ins[l.to] {
			t = 0.6
		} else if outs[l.from] == ins[l.to] {
			t = 0.5
		}
		for i, s := range rt.spots[1:] {
			x2, y2 := p.start(s.layer), s.at
			if i == len(rt.spots)-2 {
				y2 = in[l]
			}
			mid := (x + x2) / 2
			fmt.Fprintf(b, " C%s %s %s", p.point(mid, y), p.point(mid, y2), p.point(x2, y2))
			if i == 0 && t <= 0.5 || i == len(rt.spots)-2 && t > 0.5 {
				// The point of the curve at t.
				u := 1 - t
				bez := func(a, c, d, e float64) float64 { return u*u*u*a + 3*u*u*t*c + 3*u*t*t*d + t*t*t*e }
				text := l.label(9)
				if p.down {
					text = l.label(16)
				}
				if l.broken {
					text = "✗ " + text
				}
				at := p.point(bez(x, mid, mid, x2), bez(y, y, y2, y2)-map[bool]float64{true: 0, false: 5}[p.down])
				px, py, _ := strings.Cut(at, " ")
				fmt.Fprintf(&labels, "<text class=\"label %s\" x=\"%s\" y=\"%s\">%s</text>\n", class, px, py, esc(text))
			}
			if s.node < 0 {
				x2 = p.end(s.layer)
				fmt.Fprintf(b, " L%s", p.point(x2, y2))
			}
			x, y = x2, y2
		}
		b.WriteString("\"/></g>\n")
	}
	for _, s := range p.spots {
		x, y := p.start(s.layer), s.at-s.size/2
		if p.down {
			x, y = y, x
		}
		p.box(b, r, p.g.nodes[s.node], x, y)
	}
	b.Write(labels.Bytes())
	b.WriteString("</svg>\n")
}

// box draws a stage or what was judged. A nested svg cuts off what is too wide.
func (p *picture) box(b *bytes.Buffer, r *verify.Report, n *node, x, y float64) {
	class, title := "refused", verdict(r)
	name, mark, lines := "", "", []string{}
	switch {
	case n.stage != nil:
		class, mark = stateClass(n.stage.State), stateMark(n.stage.State)
		name = plain(n.name, p.boxText-5)
		title = plain(n.name, 80) + ": " + stateText(n.stage.State)
		lines = n.lines(r, p.boxText)
		lines = lines[:min(3, len(lines))]
	case r.Passed:
		class = "pass"
	}
	fmt.Fprintf(b, "<svg class=\"box %s\" x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\"><title>%s</title><rect class=\"card\" x=\"1\" y=\"1\" width=\"%d\" height=\"%d\" rx=\"9\"/>",
		class, x, y, p.boxWidth, boxHeight, esc(title), p.boxWidth-2, boxHeight-2)
	if n.stage == nil {
		lines = []string{"no artifact", verdict(r)}
		if len(r.Artifacts) > 0 {
			lines[0] = plain(r.Artifacts[0].Name, p.boxText-5)
		}
		if len(r.Artifacts) > 1 {
			lines = slices.Insert(lines, 1, "and "+itoa(len(r.Artifacts)-1)+" more")
		}
		for i, l := range lines {
			class := map[int]string{0: "name", len(lines) - 1: "word"}[i]
			fmt.Fprintf(b, "<text class=\"middle %s\" x=\"%d\" y=\"%d\">%s</text>", class, p.boxWidth/2, 58-10*len(lines)+20*i, esc(l))
		}
		b.WriteString("</svg>\n")
		return
	}
	fmt.Fprintf(b, "<text class=\"mark\" x=\"12\" y=\"25\">%s</text><text class=\"name\" x=\"29\" y=\"25\">%s</text>", mark, esc(name))
	for i, l := range lines {
		fmt.Fprintf(b, "<text class=\"line\" x=\"12\" y=\"%d\">%s</text>", 44+15*i, esc(l))
	}
	b.WriteString("</svg>\n")
}

func linkTitle(g *graph, l *link) string {
	name := func(i int) string {
		if g.nodes[i].stage == nil {
			return "what was judged"
		}
		return plain(g.nodes[i].name, 40)
	}
	s := name(l.from) + " → " + name(l.to) + ": " + count(l.count, "file")
	var names []string
	for _, n := range l.names {
		names = append(names, plain(n, 60))
	}
	s += " (" + strings.Join(names, ", ")
	if l.count > len(l.names) {
		s += ", …"
	}
	return s + ")"
}

// esc escapes plain text for HTML and for XML.
func esc(s string) string { return html.EscapeString(s) }
