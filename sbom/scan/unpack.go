package scan

import (
	"bufio"
	"bytes"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/hallmark-build/hallmark/internal/gunzip"
)

// unpack returns what is in a layer, which may be compressed: the content says,
// not the media type. stop must be called in the end.
func unpack(r io.Reader) (plain io.Reader, stop func(), err error) {
	br := bufio.NewReaderSize(r, 128<<10)
	head, err := br.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gunzip.NewReader(br)
		if err != nil {
			return nil, nil, err
		}
		return z, func() {}, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return plainReader{br}, func() {}, nil
}

type plainReader struct{ *bufio.Reader }

func (r plainReader) Discard(n int64) (int64, error) {
	k, err := r.Reader.Discard(int(min(n, 1<<30)))
	return int64(k), err
}
