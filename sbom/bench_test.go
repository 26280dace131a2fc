package sbom

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func large(n int) *Graph {
	g := &Graph{Creation: Creation{Created: time.Unix(1, 0), Tool: Tool{Name: "t"}}}
	root := g.Add(Component{Type: Application, Name: "root", Dependencies: Complete})
	prev := root
	for i := range n {
		id := g.Add(Component{Name: fmt.Sprintf("p%d", i), Version: "1", PURL: fmt.Sprintf("pkg:npm/p%d@1", i), Digests: digests("a"),
			Declared: License{Expression: "MIT"}, Dependencies: Complete})
		g.Relate(root, DependsOn, id)
		g.Relate(prev, DependsOn, id)
		g.AddUnknown(Gap{id, FieldSupplier, "x", ""})
		prev = id
	}
	return g
}

func BenchmarkEncode(b *testing.B) {
	for _, f := range formats {
		b.Run(strings.ReplaceAll(f.String(), " ", "-"), func(b *testing.B) {
			g := large(10_000)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Encode(f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, f := range formats {
		b.Run(strings.ReplaceAll(f.String(), " ", "-"), func(b *testing.B) {
			doc, err := large(10_000).Encode(f)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Read(doc, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMerge(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		g, other := large(10_000), large(10_000)
		b.StartTimer()
		g.Merge(other)
	}
}
