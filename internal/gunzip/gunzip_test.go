package gunzip

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/iotest"

	kgzip "github.com/klauspost/compress/gzip"
)

func pack(level int, data []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		panic(err)
	}
	z.Write(data)
	z.Close()
	return b.Bytes()
}

// samples are contents of different kinds.
func samples() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 700_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	skewed := make([]byte, 700_000) // long codes
	for i := range skewed {
		skewed[i] = byte(min(r.ExpFloat64()*8, 255))
	}
	var words bytes.Buffer
	for words.Len() < 900_000 {
		fmt.Fprintf(&words, "line %d of %d\n", r.IntN(1000), words.Len()/(1+r.IntN(50)))
	}
	exe, _ := os.Executable()
	self, _ := os.ReadFile(exe)
	return map[string][]byte{
		"empty": {}, "one": {7}, "zeros": make([]byte, 1_000_000), "noise": noise, "skewed": skewed, "words": words.Bytes(), "program": self[:min(len(self), 3<<20)],
		"period 2": bytes.Repeat([]byte("ab"), 200_000), "period 7": bytes.Repeat([]byte("abcdefg"), 100_000), "period 32768": bytes.Repeat(noise[:32768], 5),
		"period 32769": bytes.Repeat(noise[:32769], 5),
	}
}

func TestSame(t *testing.T) {
	for name, data := range samples() {
		for _, level := range []int{flate.NoCompression, flate.HuffmanOnly, flate.BestSpeed, flate.DefaultCompression, flate.BestCompression} {
			packed := pack(level, data)
			for how, r := range map[string]io.Reader{
				"whole": bytes.NewReader(packed), "halves": iotest.HalfReader(bytes.NewReader(packed)),
				"data with the end": iotest.DataErrReader(bytes.NewReader(packed)), "twice": bytes.NewReader(append(bytes.Clone(packed), packed...)),
			} {
				z, err := NewReader(r)
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(z)
				want := data
				if how == "twice" {
					want = append(bytes.Clone(data), data...)
				}
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%s, level %d, %s: %d bytes of %d, %v", name, level, how, len(got), len(want), err)
				}
			}
		}
	}
}

func TestDiscard(t *testing.T) {
	data := samples()["words"]
	packed := pack(6, data)
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		z, err := NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(data); {
			n := r.IntN(100_000)
			if r.IntN(2) == 0 {
				k, err := z.Discard(int64(n))
				at += int(k)
				if int(k) < n && (err != io.EOF || at != len(data)) {
					t.Fatalf("%d of %d skipped: %v", k, n, err)
				}
				continue
			}
			buf := make([]byte, n)
			k, err := io.ReadFull(z, buf)
			if !bytes.Equal(buf[:k], data[at:at+k]) {
				t.Fatal("other bytes after a skip")
			}
			if at += k; err != nil && at != len(data) {
				t.Fatal(err)
			}
		}
		if _, err := z.Discard(1); err != io.EOF {
			t.Fatalf("want the end, found %v", err)
		}
	}
}

func TestDamaged(t *testing.T) {
	data := samples()["words"][:5000]
	step := 1
	if testing.Short() {
		step = 17
	}
	for _, level := range []int{0, 1, 9} {
		packed := pack(level, data)
		for i := 0; i < len(packed); i += step {
			compare(t, packed[:i])
			for _, v := range []byte{0, 0xff, packed[i] ^ 1, packed[i] ^ 0x80} {
				bad := bytes.Clone(packed)
				bad[i] = v
				compare(t, bad)
			}
		}
		compare(t, append(bytes.Clone(packed), 0))
		compare(t, append(bytes.Clone(packed), "tail"...))
	}
	fault := errors.New("fault")
	z, err := NewReader(io.MultiReader(bytes.NewReader(pack(9, data)[:100]), iotest.ErrReader(fault)))
	if err == nil {
		_, err = io.ReadAll(z)
	}
	if !errors.Is(err, fault) {
		t.Errorf("want the source's error, found %v", err)
	}
	if z, err := NewReader(iotest.TimeoutReader(bytes.NewReader(pack(0, make([]byte, 1<<20))))); err == nil {
		if _, err = io.ReadAll(z); !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("want the source's error, found %v", err)
		}
	}
}

// compare checks that a stream gives what compress/gzip makes of it, or that
// both refuse it; then what was given before the fault must be the same, as far
// as both got.
func compare(t *testing.T, packed []byte) {
	t.Helper()
	var want, got []byte
	std, errStd := gzip.NewReader(bytes.NewReader(packed))
	if errStd == nil {
		want, errStd = io.ReadAll(io.LimitReader(std, 64<<20))
	}
	z, err := NewReader(bytes.NewReader(packed))
	if err == nil {
		got, err = io.ReadAll(io.LimitReader(z, 64<<20))
	}
	if (err == nil) != (errStd == nil) {
		t.Fatalf("compress/gzip: %v, here: %v; %x", errStd, err, packed)
	}
	n := min(len(want), len(got))
	if err == nil {
		n = max(len(want), len(got))
	}
	if len(got) < n || len(want) < n || !bytes.Equal(want[:n], got[:n]) {
		t.Fatalf("compress/gzip gives %d bytes, here there are %d, or they differ", len(want), len(got))
	}
}

func FuzzGunzip(f *testing.F) {
	for _, data := range samples() {
		for _, level := range []int{0, flate.HuffmanOnly, 1, 9} {
			f.Add(pack(level, data[:min(len(data), 2000)]))
		}
	}
	f.Add(append([]byte{0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 0, 1, 0, 'x', 'n', 0, 'c', 0}, 1, 2, 3, 0))
	f.Fuzz(func(t *testing.T, data []byte) { compare(t, data) })
}

// FuzzDeflate lets the fuzzer write the deflate stream alone: with a wrong
// checksum, all that was unpacked must still be the same.
func FuzzDeflate(f *testing.F) {
	for _, data := range samples() {
		packed := pack(9, data[:min(len(data), 3000)])
		f.Add(packed[10 : len(packed)-8])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, errStd := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), 16<<20))
		z, err := NewReader(io.MultiReader(bytes.NewReader([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0}), bytes.NewReader(data)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.LimitReader(z, 16<<20))
		if errStd == nil {
			// Complete, but for the trailer.
			if len(got) < len(want) || !bytes.Equal(got[:len(want)], want) {
				t.Fatalf("compress/flate gives %d bytes, here there are %d (%v)", len(want), len(got), err)
			}
		} else if n := min(len(got), len(want)); err == nil && len(got) < 16<<20 || !bytes.Equal(got[:n], want[:n]) {
			t.Fatalf("compress/flate: %v, here: %v", errStd, err)
		}
	})
}

func BenchmarkGunzip(b *testing.B) {
	//lint:ignore SA1019 the tests run where they were built
	data, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "bin", "go"))
	if err != nil {
		b.Skip(err)
	}
	packed := pack(6, data)
	run := func(name string, open func(io.Reader) (io.Reader, error)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				z, err := open(bytes.NewReader(packed))
				if err != nil {
					b.Fatal(err)
				}
				if g, ok := z.(*Reader); ok {
					_, err = g.Discard(int64(len(data)))
				} else {
					_, err = io.Copy(io.Discard, z)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("here", func(r io.Reader) (io.Reader, error) { return NewReader(r) })
	run("klauspost", func(r io.Reader) (io.Reader, error) { return kgzip.NewReader(r) })
	run("std", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
}
