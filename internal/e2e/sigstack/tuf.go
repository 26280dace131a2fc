package sigstack

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// A TUFRepository is a TUF repository in memory, with the four roles, a key
// for each, and consistent snapshots. It is an [http.Handler] that serves
// metadata at its root and targets under /targets/.
type TUFRepository struct {
	keys map[string]ed25519.PrivateKey

	mu      sync.Mutex
	version int64
	files   map[string][]byte
}

// NewTUFRepository returns a repository in which nothing is published.
func NewTUFRepository() (*TUFRepository, error) {
	r := &TUFRepository{keys: map[string]ed25519.PrivateKey{}, files: map[string][]byte{}}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		r.keys[role] = key
	}
	return r, nil
}

// Publish publishes targets as the next version of the repository; all roles
// expire at the given time. The version of root goes up too.
func (r *TUFRepository) Publish(targets map[string][]byte, expires time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	version := r.version + 1
	rt, tg := metadata.Root(expires), metadata.Targets(expires)
	sn, tm := metadata.Snapshot(expires), metadata.Timestamp(expires)
	rt.Signed.Version, tg.Signed.Version, sn.Signed.Version, tm.Signed.Version = version, version, version, version
	rt.Signed.ConsistentSnapshot = true
	for role, key := range r.keys {
		public, err := metadata.KeyFromPublicKey(key.Public())
		if err != nil {
			return err
		}
		if err := rt.Signed.AddKey(public, role); err != nil {
			return err
		}
	}
	files := map[string][]byte{}
	for name, content := range targets {
		t, err := metadata.TargetFile().FromBytes(name, content, "sha256")
		if err != nil {
			return err
		}
		tg.Signed.Targets[name] = t
		dir, base := path.Split(name)
		files["targets/"+dir+hex.EncodeToString(t.Hashes["sha256"])+"."+base] = content
	}
	sn.Signed.Meta["targets.json"].Version = version
	tm.Signed.Meta["snapshot.json"].Version = version
	prefix := func(name string) string { return formatVersion(version) + "." + name }
	var err error
	put := func(name string, b []byte, e error) {
		files[name] = b
		if err == nil {
			err = e
		}
	}
	sign := func(role string) signature.Signer {
		s, e := signature.LoadSigner(r.keys[role], crypto.Hash(0))
		if err == nil {
			err = e
		}
		return s
	}
	for _, f := range []func() error{
		func() error { _, e := rt.Sign(sign("root")); return e },
		func() error { _, e := tg.Sign(sign("targets")); return e },
		func() error { _, e := sn.Sign(sign("snapshot")); return e },
		func() error { _, e := tm.Sign(sign("timestamp")); return e },
	} {
		if e := f(); e != nil {
			return e
		}
	}
	b, e := rt.ToBytes(false)
	put(prefix("root.json"), b, e)
	b, e = tg.ToBytes(false)
	put(prefix("targets.json"), b, e)
	b, e = sn.ToBytes(false)
	put(prefix("snapshot.json"), b, e)
	b, e = tm.ToBytes(false)
	put("timestamp.json", b, e)
	if err != nil {
		return err
	}
	r.version = version
	for name, b := range files {
		r.files[name] = b
	}
	return nil
}

// Root returns the first root metadata: what a client is given out of band.
func (r *TUFRepository) Root() []byte { return r.File("1.root.json") }

// File returns a published file, nil when there is none, by its path.
func (r *TUFRepository) File(path string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[path]
}

// SetFile replaces a published file, to play an attacker who can write to the
// repository but holds no key; nil removes it.
func (r *TUFRepository) SetFile(path string, content []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if content == nil {
		delete(r.files, path)
		return
	}
	r.files[path] = content
}

// ServeHTTP serves the published files.
func (r *TUFRepository) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	b := r.File(strings.TrimPrefix(req.URL.Path, "/"))
	if b == nil {
		http.NotFound(w, req)
		return
	}
	w.Write(b)
}
