package scan

import (
	"bytes"
	"debug/buildinfo"
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// testHolder holds a Go program in part: that must do for what is read of it.
func testHolder(t *testing.T, exe []byte) {
	want, err := buildinfo.Read(bytes.NewReader(exe))
	if err != nil {
		t.Fatal(err)
	}
	h := holder{whole: 1}
	for range 2 { // the second time in the same buffer
		f, sum, err := h.hold(exe[:4], iotest.OneByteReader(bytes.NewReader(exe[4:])), int64(len(exe)), true, true)
		if err != nil {
			t.Fatal(err)
		}
		if sum != sha(exe) {
			t.Error("another digest")
		}
		got, err := buildinfo.Read(f)
		if err != nil || got.String() != want.String() {
			t.Errorf("%v, %v", got, err)
		}
		if _, err := auditable(f); err != nil || f.missed {
			t.Errorf("%v, missed: %v", err, f.missed)
		}
		if strings.HasPrefix(string(exe), "\x7fELF") && len(h.buf) > len(exe)*2/3 {
			t.Errorf("%d of %d bytes are held", len(h.buf), len(exe))
		}
		if _, err := f.ReadAt(make([]byte, 1<<20), 128<<10); err == nil || !f.missed {
			t.Error("code is held as well")
		}
	}
}

func TestHolder(t *testing.T) {
	elf := make([]byte, 300<<10)
	copy(elf, "\x7fELF\x02\x01\x01")
	for i := 200; i < len(elf); i++ {
		elf[i] = byte(i >> 8)
	}
	binary.LittleEndian.PutUint64(elf[32:], 64)
	binary.LittleEndian.PutUint16(elf[54:], 56)
	binary.LittleEndian.PutUint16(elf[56:], 2)
	load := func(i int, flags uint32, off, size uint64) {
		p := elf[64+56*i:]
		binary.LittleEndian.PutUint32(p, 1)
		binary.LittleEndian.PutUint32(p[4:], flags)
		binary.LittleEndian.PutUint64(p[8:], off)
		binary.LittleEndian.PutUint64(p[32:], size)
	}
	hold := func(size int) (*held, error) {
		h := holder{whole: 1}
		f, _, err := h.hold(elf[:4], bytes.NewReader(elf[4:]), int64(size), true, false)
		return f, err
	}
	load(0, 5, 0, 150<<10)
	load(1, 6, 150<<10, 50<<10)
	f, err := hold(len(elf))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		off, n int
		ok     bool
	}{{0, 64 << 10, true}, {0, 65 << 10, false}, {100 << 10, 1, false}, {150 << 10, 150 << 10, true}, {199 << 10, 2 << 10, true}, {299 << 10, 2 << 10, false}} {
		b := make([]byte, tt.n)
		n, err := f.ReadAt(b, int64(tt.off))
		if (err == nil) != tt.ok || !bytes.Equal(b[:n], elf[tt.off:tt.off+n]) {
			t.Errorf("%d bytes at %d: %d, %v", tt.n, tt.off, n, err)
		}
	}
	if !f.missed {
		t.Error("nothing was missed")
	}
	if _, err := f.ReadAt(make([]byte, 1), int64(len(elf))); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
	// What the headers cannot say means that all is held.
	for name, spoil := range map[string]func(){
		"a segment after the end": func() { load(1, 6, 1<<40, 1) },
		"an absurd segment":       func() { load(1, 6, 100, 1<<63) },
		"headers elsewhere":       func() { binary.LittleEndian.PutUint64(elf[32:], 1<<62) },
	} {
		before := bytes.Clone(elf[:200])
		spoil()
		f, err := hold(len(elf))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, len(elf))
		if _, err := f.ReadAt(b, 0); err != nil || !bytes.Equal(b, elf) {
			t.Errorf("%s: %v", name, err)
		}
		copy(elf, before)
	}
	if _, err := hold(len(elf) + 1); err != io.ErrUnexpectedEOF {
		t.Errorf("a file that ends too early: %v", err)
	}
}

func FuzzProgramRanges(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 200)))
	f.Fuzz(func(t *testing.T, head []byte) {
		for _, r := range programRanges(head, 1<<20) {
			if r[0] < 0 || r[1] > 1<<20 || r[0] > r[1] {
				t.Fatalf("%v", r)
			}
		}
	})
}
