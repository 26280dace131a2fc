package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"io"
	"os"
	"strings"
)

// span is where the content of a file is in a tar file.
type span struct {
	offset, size int64
	file         int // its index in files
}

// tarFile reads a tar, compressed or not.
func (u *unpacker) tarFile(f *os.File, size int64, compressed bool) error {
	h256, h512 := sha256.New(), sha512.New()
	r := io.TeeReader(packedReader{u, f}, io.MultiWriter(h256, h512))
	t := u.newNames(false)
	var spans map[string]span
	var err error
	if compressed {
		// gzip reads by the byte.
		err = u.gunzip(bufio.NewReaderSize(r, 64<<10), func(r io.Reader) error { return u.tar(r, t, nil) })
	} else {
		spans = map[string]span{}
		err = u.tar(unpackedReader{u, r}, t, spans)
	}
	if err != nil {
		return err
	}
	if len(u.files) == 0 {
		return &Error{Reason: ReasonFormat, Msg: "neither a package of a known format (tar, tar with gzip, zip, OCI image layout) nor a tar with files in it"}
	}
	if u.packed != size {
		return &Error{Reason: ReasonChanged, Msg: "the file changed while it was read"}
	}
	u.pkg.Sum = new(Sum)
	h256.Sum(u.pkg.Sum.SHA256[:0])
	h512.Sum(u.pkg.Sum.SHA512[:0])
	if _, ok := spans["oci-layout"]; ok && t.kinds["index.json"] == isFile {
		return u.layoutTar(f, spans)
	}
	return nil
}

// gunzip has read consume what is compressed in r, to its end.
func (u *unpacker) gunzip(r io.Reader, read func(io.Reader) error) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return malformed("", "bad gzip", err)
	}
	return read(unpackedReader{u, z})
}

// tar adds the files of a tar, and where they are to spans if that is not nil.
// It reads r to its end, where nothing may be but zeros.
func (u *unpacker) tar(r io.Reader, t *names, spans map[string]span) error {
	pos := &position{r: r}
	tr := tar.NewReader(pos)
	regular := map[string]int{} // index in files
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return malformed("", "bad tar", err)
		}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader: // of git archive
			continue
		case tar.TypeDir:
			_, err = t.add(h.Name, isDir)
		case tar.TypeReg, tar.TypeGNUSparse:
			var name string
			if name, err = t.add(h.Name, isFile); err != nil {
				break
			}
			at := span{pos.n, h.Size, len(u.files)}
			if err = u.addFile(name, tr); err != nil {
				err = malformed(name, "bad tar", err)
				break
			}
			// Content of a sparse file is not in one piece.
			if spans != nil && pos.n == at.offset+at.size {
				spans[name] = at
			}
			regular[name] = at.file
		case tar.TypeSymlink:
			var name string
			if name, err = t.add(h.Name, isLink); err == nil {
				err = u.addLink(name, h.Linkname)
			}
		case tar.TypeLink:
			var name string
			if name, err = t.add(h.Name, isFile); err != nil {
				break
			}
			target := strings.TrimPrefix(h.Linkname, "./")
			if t.layer {
				target = strings.TrimPrefix(target, "/")
			}
			i, ok := regular[target]
			if !ok {
				return &Error{Reason: ReasonLink, Name: h.Name, Msg: "hard link to what is not an earlier regular file of the archive"}
			}
			regular[name] = i
			again := u.files[i]
			again.Name, again.Content = name, nil
			u.files = append(u.files, again)
		default:
			err = &Error{Reason: ReasonSpecial, Name: h.Name, Msg: "neither file, directory nor symbolic link"}
		}
		if err != nil {
			return err
		}
	}
	for {
		n, err := r.Read(u.buf)
		for _, b := range u.buf[:n] {
			if b != 0 {
				return &Error{Reason: ReasonFormat, Msg: "data after the end of the tar"}
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return malformed("", "bad tar", err)
		}
	}
}

// position knows how much was read. It does not seek, so that nothing goes
// unread.
type position struct {
	r io.Reader
	n int64
}

func (p *position) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.n += int64(n)
	return n, err
}
