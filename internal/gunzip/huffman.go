package gunzip

import (
	"encoding/binary"
	"math/bits"
)

// The tables map the next bits to an entry. Codes longer than a table's bits
// lead to a table of their own. The lowest byte of an entry is how many bits it
// takes; 0 is a code that is not there.
//
// Literals and lengths: a literal has the flag and is in the second byte. A
// length has its base in the high half and the number of extra bits in the
// second byte.
//
// Distances: the base in the high half, the number of extra bits in the second byte.
const (
	litBits   = 11
	litTable  = 1<<litBits + 288<<(15-litBits)
	distBits  = 9
	distTable = 1<<distBits + 32<<(15-distBits)

	isLiteral = 1 << 31
	isEnd     = 1 << 29

	// These say that the bits from 8 to 21 are where the code's own table is.
	litSub  = 1 << 30
	distSub = 1 << 31
)

var (
	lengthBase  = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distBase    = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distExtra   = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

func buildLit(t *[litTable]uint32, lens []uint8) bool {
	return build(t[:], litBits, litSub, lens, func(sym int) uint32 {
		switch {
		case sym < 256:
			return isLiteral | uint32(sym)<<8
		case sym == 256:
			return isEnd
		case sym < 286:
			return uint32(lengthBase[sym-257])<<16 | uint32(lengthExtra[sym-257])<<8
		}
		return 0 // in the fixed code, and never used
	})
}

func buildDist(t *[distTable]uint32, lens []uint8) bool {
	return build(t[:], distBits, distSub, lens, func(sym int) uint32 {
		if sym < 30 {
			return uint32(distBase[sym])<<16 | uint32(distExtra[sym])<<8
		}
		return 0
	})
}

func buildPlain(t []uint32, lens []uint8) bool {
	return build(t, 7, 0, lens, func(sym int) uint32 { return uint32(sym) << 8 })
}

// build makes the table of a code (RFC 1951, 3.2.2). It reports whether the
// lengths are those of a complete code, or of one with a single word, or none,
// as compress/flate has it.
func build(t []uint32, primary uint, isSub uint32, lens []uint8, entry func(sym int) uint32) bool {
	var count, next [16]int
	longest := 0
	for _, n := range lens {
		count[n]++
		longest = max(longest, int(n))
	}
	clear(t[:1<<primary])
	if longest == 0 {
		return true // and no code can be read
	}
	code := 0
	count[0] = 0
	for n := 1; n <= longest; n++ {
		code <<= 1
		next[n] = code
		code += count[n]
	}
	if code != 1<<longest && !(code == 1 && longest == 1) {
		return false
	}
	free := 1 << primary
	sub := 15 - primary
	for sym, n := range lens {
		if n == 0 {
			continue
		}
		n := uint(n)
		word := uint(bits.Reverse16(uint16(next[n])) >> (16 - n))
		next[n]++
		e := entry(sym)
		if e == 0 && len(lens) > 19 {
			// Symbols without a meaning are no codes.
			continue
		}
		if n <= primary {
			for i := word; i < 1<<primary; i += 1 << n {
				t[i] = e | uint32(n)
			}
			continue
		}
		head := word & (1<<primary - 1)
		if t[head] == 0 {
			if free+1<<sub > len(t) {
				return false
			}
			clear(t[free : free+1<<sub])
			t[head] = isSub | uint32(free)<<8 | uint32(primary)
			free += 1 << sub
		}
		base := uint(t[head] >> 8 & 0x3fff)
		for i := word >> primary; i < 1<<sub; i += 1 << (n - primary) {
			t[base+i] = e | uint32(n-primary)
		}
	}
	return true
}

// huffman decodes until the block ends or out is full.
func (z *Reader) huffman() {
	const limit = window + fresh
	lit, dist := &z.lit, &z.dist
	in, out := z.in, z.out
	w := z.w
	start := w - int(z.total) // what a match may reach back to
	var err error
	for w < limit && err == nil {
		z.fill()
		// A step reads at most 16 bytes ahead. At the end zeros follow the input.
		inLimit := z.end - 16
		if z.eof {
			inLimit = z.end + 8
		}
		pos, b, n := z.pos, z.bits, z.nbits
		if pos > inLimit {
			err = z.short() // fill has read what there is
		}
		for w < limit && pos <= inLimit {
			b |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
			pos += int((63 - n) >> 3)
			n |= 56
			e := lit[b&(1<<litBits-1)]
			if e&isLiteral != 0 {
				b >>= e & 63
				n -= uint(e & 63)
				out[w] = byte(e >> 8)
				w++
				e = lit[b&(1<<litBits-1)]
				if e&isLiteral != 0 {
					b >>= e & 63
					n -= uint(e & 63)
					out[w] = byte(e >> 8)
					w++
					e = lit[b&(1<<litBits-1)]
					if e&isLiteral != 0 {
						b >>= e & 63
						n -= uint(e & 63)
						out[w] = byte(e >> 8)
						w++
						continue
					}
				}
				b |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
				pos += int((63 - n) >> 3)
				n |= 56
			}
			if e&(litSub|isEnd) != 0 {
				if e&litSub != 0 {
					b >>= litBits
					n -= litBits
					e = lit[uint(e>>8&0x3fff)+uint(b&(1<<(15-litBits)-1))]
					if e&isLiteral != 0 {
						b >>= e & 63
						n -= uint(e & 63)
						out[w] = byte(e >> 8)
						w++
						continue
					}
				}
				if e&isEnd != 0 {
					b >>= e & 63
					n -= uint(e & 63)
					z.pos, z.bits, z.nbits = pos, b, n
					if pos-int(n>>3) > z.end {
						err = z.short()
						break
					}
					z.total = min(z.total+int64(w-z.w), window)
					z.w = w
					z.endBlock()
					return
				}
			}
			if e&63 == 0 {
				err = ErrCorrupt
				break
			}
			b >>= e & 63
			n -= uint(e & 63)
			extra := e >> 8 & 31
			length := int(e>>16) + int(b&(1<<extra-1))
			b >>= extra
			n -= uint(extra)
			d := dist[b&(1<<distBits-1)]
			if d&distSub != 0 {
				b >>= distBits
				n -= distBits
				d = dist[uint(d>>8&0x3fff)+uint(b&(1<<(15-distBits)-1))]
			}
			if d&63 == 0 {
				err = ErrCorrupt
				break
			}
			b >>= d & 63
			n -= uint(d & 63)
			extra = d >> 8 & 31
			back := int(d>>16) + int(b&(1<<extra-1))
			b >>= extra
			n -= uint(extra)
			from := w - back
			if from < start || from < 0 {
				err = ErrCorrupt
				break
			}
			switch {
			case back >= 8:
				// By words; what is written too much is overwritten.
				to := w
				w += length
				for {
					binary.LittleEndian.PutUint64(out[to:], binary.LittleEndian.Uint64(out[from:]))
					if to += 8; to >= w {
						break
					}
					from += 8
				}
			case back == 1:
				v := uint64(out[from]) * 0x0101010101010101
				for to := w; to < w+length; to += 8 {
					binary.LittleEndian.PutUint64(out[to:], v)
				}
				w += length
			default:
				for range length {
					out[w] = out[from]
					w++
					from++
				}
			}
		}
		z.pos, z.bits, z.nbits = pos, b, n
		if z.eof && pos-int(n>>3) > z.end {
			err = z.short() // whatever came of the zeros
		}
	}
	z.total = min(z.total+int64(w-z.w), window)
	z.w = w
	if err != nil {
		z.fail(err)
	}
}
