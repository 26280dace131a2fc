package provenance

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"path/filepath"

	"github.com/hallmark-build/hallmark/internal/regular"
)

// An Artifact is a file or another resource, by its digests.
type Artifact struct {
	Name    string // a file's base name, an image reference; only a label
	Digests DigestSet
}

// Descriptor returns the artifact as a subject or a material of a statement.
func (a Artifact) Descriptor() ResourceDescriptor {
	return ResourceDescriptor{Name: a.Name, Digest: a.Digests}
}

// DigestFile returns the artifact at path, named by the base name of path,
// with its SHA-256 and SHA-512. It refuses what is not a regular file (a FIFO
// would block, a device has no content), and follows symbolic links, since the
// caller named the path.
//
// The result describes the bytes that were read. Who goes on to use the file
// must use those bytes: [DigestReader] digests them on their way.
func DigestFile(ctx context.Context, path string) (Artifact, error) {
	f, _, err := regular.Open(path)
	if err != nil {
		return Artifact{}, err
	}
	defer f.Close()
	return digest(ctx, filepath.Base(path), f)
}

// DigestReader returns the artifact with the given name whose content is
// everything that r yields.
func DigestReader(ctx context.Context, name string, r io.Reader) (Artifact, error) {
	return digest(ctx, name, r)
}

func digest(ctx context.Context, name string, r io.Reader) (Artifact, error) {
	h256, h512 := sha256.New(), sha512.New()
	w := io.MultiWriter(h256, h512)
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return Artifact{}, err
		}
		n, err := r.Read(buf)
		w.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return Artifact{}, err
		}
	}
	sum := func(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
	return Artifact{Name: name, Digests: DigestSet{{SHA256, sum(h256)}, {SHA512, sum(h512)}}}, nil
}
