// Package gunzip unpacks gzip (RFC 1952) faster than general libraries do,
// for who reads hundreds of megabytes in a row and passes most of it over: it
// decodes into one large window that the caller's copies come from, and bytes
// that are skipped ([Reader.Discard]) are not copied at all.
//
// It accepts what compress/gzip accepts, several members in a row included, and
// gives the same bytes; every member's checksum and size are checked. The
// tests compare the two on everything that the fuzzer finds.
package gunzip

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// Errors of what is no gzip, or not whole. A file that ends too early is
// io.ErrUnexpectedEOF.
var (
	ErrHeader   = errors.New("gunzip: not the header of a member")
	ErrChecksum = errors.New("gunzip: checksum or size is not that of the content")
	ErrCorrupt  = errors.New("gunzip: corrupt content")
)

const (
	window = 32 << 10 // how far back a match may reach
	fresh  = 256 << 10
	// slack is how much one step may write beyond its limit: a match, rounded
	// up to words, after two literals.
	slack  = 258 + 8 + 8
	inSize = 64 << 10
	inPad  = 32 // bytes that a step may read ahead
)

// A Reader unpacks one stream. It is made by NewReader.
type Reader struct {
	src io.Reader
	in  []byte
	// in[pos:end] is what was read and is not in bits yet. At the end of the
	// source, zeros follow; how many of them were used is seen by pos.
	pos, end int
	eof      bool
	err      error // of the source, or ours; given when all before was read

	bits  uint64
	nbits uint

	out     []byte
	w, r    int // written, and read by the caller
	summed  int // of out, in sum
	sum     uint32
	size    uint32
	total   int64 // bytes of this member, at most a window: how far back a match may go
	state   state
	last    bool // this block is the member's last
	stored  int
	fixed   bool
	lens    [288 + 32]uint8
	lit     [litTable]uint32
	dist    [distTable]uint32
	codelen [128]uint32
}

type state int

const (
	atMember state = iota // before a header
	atBlock
	inStored
	inHuffman
	atTrailer
	done
)

// NewReader returns a reader of the gzip members in r. The first header is read
// at once.
func NewReader(r io.Reader) (*Reader, error) {
	z := &Reader{src: r, in: make([]byte, inSize+inPad), out: make([]byte, window+fresh+slack)}
	if z.member(true); z.err != nil {
		return nil, z.err
	}
	return z, nil
}

// Read unpacks.
func (z *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := z.more(); err != nil {
		return 0, err
	}
	n := copy(p, z.out[z.r:z.w])
	z.r += n
	return n, nil
}

// Discard skips n bytes, and returns how many it has skipped; less than n only
// with an error.
func (z *Reader) Discard(n int64) (int64, error) {
	var skipped int64
	for skipped < n {
		if err := z.more(); err != nil {
			return skipped, err
		}
		k := min(int64(z.w-z.r), n-skipped)
		z.r += int(k)
		skipped += k
	}
	return skipped, nil
}

// more makes sure that there is something to read.
func (z *Reader) more() error {
	for z.r == z.w {
		if z.err != nil {
			return z.err
		}
		if z.w >= window+fresh {
			copy(z.out, z.out[z.w-window:z.w])
			z.r, z.w, z.summed = window, window, window
		}
		z.step()
		if n := z.w - z.summed; n > 0 {
			z.sum = crc32.Update(z.sum, crc32.IEEETable, z.out[z.summed:z.w])
			z.size += uint32(n)
			z.summed = z.w
		}
	}
	return nil
}

// fail ends the stream, once what was unpacked is read.
func (z *Reader) fail(err error) {
	if z.err == nil {
		z.err = err
	}
}

// step does one thing, and may write to out.
func (z *Reader) step() {
	switch z.state {
	case atMember:
		z.member(false)
	case atBlock:
		z.block()
	case inStored:
		z.copyStored()
	case inHuffman:
		z.huffman()
	case atTrailer:
		z.trailer()
	}
}

// fill reads more input, when there is little left. What bits has beyond the
// current byte is given back first.
func (z *Reader) fill() {
	z.pos -= int(z.nbits >> 3)
	z.nbits &= 7
	z.bits &= 1<<z.nbits - 1
	if z.eof || z.end-z.pos >= inSize/2 {
		return
	}
	copy(z.in, z.in[z.pos:z.end])
	z.end -= z.pos
	z.pos = 0
	for empty := 0; z.end < inSize/2 && !z.eof; {
		n, err := z.src.Read(z.in[z.end:inSize])
		z.end += n
		if n == 0 && err == nil {
			if empty++; empty > 100 {
				err = io.ErrNoProgress
			}
		}
		if err != nil {
			z.eof = true
			clear(z.in[z.end : z.end+inPad])
			if err != io.EOF {
				z.src = errReader{err}
			}
		}
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// short is the error of a stream that ends too early.
func (z *Reader) short() error {
	if r, ok := z.src.(errReader); ok {
		return r.err
	}
	return io.ErrUnexpectedEOF
}

// need makes n bits available, n at most 32, and reports whether there are.
func (z *Reader) need(n uint) bool {
	for z.nbits < n {
		if z.pos >= z.end {
			if !z.eof {
				z.fill()
			}
			if z.pos >= z.end {
				z.fail(z.short())
				return false
			}
		}
		z.bits |= uint64(z.in[z.pos]) << z.nbits
		z.pos++
		z.nbits += 8
	}
	return true
}

func (z *Reader) take(n uint) uint32 {
	v := uint32(z.bits & (1<<n - 1))
	z.bits >>= n
	z.nbits -= n
	return v
}

// align drops the rest of a byte, and what bits has beyond it is given back.
func (z *Reader) align() {
	z.pos -= int(z.nbits >> 3)
	z.bits, z.nbits = 0, 0
}

func (z *Reader) byte() (byte, bool) {
	if z.pos >= z.end {
		if !z.eof {
			z.fill()
		}
		if z.pos >= z.end {
			return 0, false
		}
	}
	b := z.in[z.pos]
	z.pos++
	return b, true
}

// member reads a header; at the end of the input there need be no other.
func (z *Reader) member(first bool) {
	var head [10]byte
	for i := range head {
		b, ok := z.byte()
		if !ok {
			if _, bad := z.src.(errReader); i == 0 && !bad {
				z.fail(io.EOF)
				z.state = done
			} else {
				z.fail(z.short())
			}
			return
		}
		head[i] = b
	}
	if head[0] != 0x1f || head[1] != 0x8b || head[2] != 8 {
		z.fail(ErrHeader)
		return
	}
	flags := head[3]
	crc := crc32.ChecksumIEEE(head[:])
	next := func() (b byte, ok bool) {
		if b, ok = z.byte(); !ok {
			z.fail(z.short())
			return 0, false
		}
		crc = crc32.Update(crc, crc32.IEEETable, []byte{b})
		return b, true
	}
	if flags&4 != 0 {
		lo, ok := next()
		hi, ok2 := next()
		for n := int(lo) | int(hi)<<8; n > 0 && ok && ok2; n-- {
			_, ok = next()
		}
	}
	for _, f := range []byte{8, 16} { // name, comment; compress/gzip reads at most 512 bytes of each
		if flags&f == 0 {
			continue
		}
		for n := 0; ; n++ {
			b, ok := next()
			if !ok {
				return
			}
			if n >= 512 {
				z.fail(ErrHeader)
				return
			}
			if b == 0 {
				break
			}
		}
	}
	if z.err != nil {
		return
	}
	if flags&2 != 0 {
		want := uint16(crc)
		lo, ok := next()
		hi, ok2 := next()
		if ok && ok2 && want != uint16(lo)|uint16(hi)<<8 {
			z.fail(ErrHeader)
		}
	}
	if z.err != nil {
		return
	}
	z.sum, z.size, z.total = 0, 0, 0
	z.summed = z.w
	z.state = atBlock
}

func (z *Reader) trailer() {
	z.align()
	var t [8]byte
	for i := range t {
		b, ok := z.byte()
		if !ok {
			z.fail(z.short())
			return
		}
		t[i] = b
	}
	if binary.LittleEndian.Uint32(t[:]) != z.sum || binary.LittleEndian.Uint32(t[4:]) != z.size {
		z.fail(ErrChecksum)
		return
	}
	z.state = atMember
}

// endBlock goes on after a block.
func (z *Reader) endBlock() {
	z.state = atBlock
	if z.last {
		z.state = atTrailer
	}
}

// block reads the header of a block (RFC 1951, 3.2.3).
func (z *Reader) block() {
	if !z.need(3) {
		return
	}
	z.last = z.take(1) == 1
	switch z.take(2) {
	case 0:
		z.align()
		var h [4]byte
		for i := range h {
			b, ok := z.byte()
			if !ok {
				z.fail(z.short())
				return
			}
			h[i] = b
		}
		n := binary.LittleEndian.Uint16(h[:])
		if n != ^binary.LittleEndian.Uint16(h[2:]) {
			z.fail(ErrCorrupt)
			return
		}
		z.stored = int(n)
		z.state = inStored
	case 1:
		if !z.fixed {
			for i := range 288 {
				switch {
				case i < 144:
					z.lens[i] = 8
				case i < 256:
					z.lens[i] = 9
				case i < 280:
					z.lens[i] = 7
				default:
					z.lens[i] = 8
				}
			}
			for i := range 32 {
				z.lens[288+i] = 5
			}
			buildLit(&z.lit, z.lens[:288])
			buildDist(&z.dist, z.lens[288:320])
			z.fixed = true
		}
		z.state = inHuffman
	case 2:
		z.dynamic()
	default:
		z.fail(ErrCorrupt)
	}
}

func (z *Reader) copyStored() {
	for z.stored > 0 && z.w < window+fresh {
		if z.pos >= z.end {
			if !z.eof {
				z.fill()
			}
			if z.pos >= z.end {
				z.fail(z.short())
				return
			}
		}
		n := copy(z.out[z.w:window+fresh], z.in[z.pos:min(z.end, z.pos+z.stored)])
		z.w += n
		z.pos += n
		z.stored -= n
		z.total = min(z.total+int64(n), window)
	}
	if z.stored == 0 {
		z.endBlock()
	}
}

var codeOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the codes of a block (RFC 1951, 3.2.7).
func (z *Reader) dynamic() {
	if !z.need(14) {
		return
	}
	nlit, ndist, nclen := int(z.take(5))+257, int(z.take(5))+1, int(z.take(4))+4
	if nlit > 286 || ndist > 30 {
		z.fail(ErrCorrupt)
		return
	}
	var lens [19]uint8
	for i := range nclen {
		if !z.need(3) {
			return
		}
		lens[codeOrder[i]] = uint8(z.take(3))
	}
	z.fixed = false
	if !buildPlain(z.codelen[:], lens[:]) {
		z.fail(ErrCorrupt)
		return
	}
	n := nlit + ndist
	for i := 0; i < n; {
		// A code has at most 7 bits, and 7 more may follow; near the end there
		// may be fewer.
		for z.nbits < 14 && (z.pos < z.end || !z.eof) {
			if z.pos >= z.end {
				if z.fill(); z.pos >= z.end {
					break
				}
			}
			z.bits |= uint64(z.in[z.pos]) << z.nbits
			z.pos++
			z.nbits += 8
		}
		e := z.codelen[z.bits&127]
		k := uint(e & 255)
		if k == 0 {
			z.fail(ErrCorrupt)
			return
		}
		if k > z.nbits {
			z.fail(z.short())
			return
		}
		z.take(k)
		sym := uint8(e >> 8)
		if sym < 16 {
			z.lens[i] = sym
			i++
			continue
		}
		var value uint8
		var extra uint
		var rep int
		switch sym {
		case 16:
			if i == 0 {
				z.fail(ErrCorrupt)
				return
			}
			value, extra, rep = z.lens[i-1], 2, 3
		case 17:
			extra, rep = 3, 3
		default:
			extra, rep = 7, 11
		}
		if z.nbits < extra {
			z.fail(z.short())
			return
		}
		rep += int(z.take(extra))
		if i+rep > n {
			z.fail(ErrCorrupt)
			return
		}
		for range rep {
			z.lens[i] = value
			i++
		}
	}
	if z.lens[256] == 0 || !buildLit(&z.lit, z.lens[:nlit]) || !buildDist(&z.dist, z.lens[nlit:n]) {
		z.fail(ErrCorrupt)
		return
	}
	z.state = inHuffman
}
