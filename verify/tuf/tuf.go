// Package tuf gets trusted_root.json, or any other file, from a TUF
// repository (https://theupdateframework.github.io/specification/latest/).
//
// It is the one package of the verifying side that reaches a network, and
// nothing else there imports it: what it returns are bytes, for the caller to
// hand to package verify.
//
//	repo := tuf.Repository{
//		URL:   "https://tuf-repo-cdn.sigstore.dev",
//		Root:  rootJSON, // got in another way, once
//		Cache: "/var/cache/hallmark",
//	}
//	files, err := repo.Fetch(ctx, time.Now(), "trusted_root.json")
//
// The state machine of the client workflow is that of
// github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata, which
// holds signatures, versions, rollback and expiry to the specification at the
// time that the caller names. Its updater is not used: it always reads the
// system's clock first, knows no context, writes targets in place, and offline
// starts from a root that nothing leads to.
//
// A repository that another has under control can withhold updates until the
// timestamp role expires, usually for days, and no longer; it can serve
// nothing that the keys of Root, or those that they handed over to, did not
// sign.
package tuf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/internal/webclient"
)

// A Repository says where a TUF repository is and why to trust it.
type Repository struct {
	// URL is where the metadata is; needed unless Offline is set. It is https,
	// or http on loopback: the content is signed, but what is withheld is not
	// seen.
	URL string
	// Targets is where the files are; empty means "targets" under URL.
	Targets string
	// Root is a root metadata file of the repository, of any version; needed.
	// It is the trust: get it from where a forger does not reach.
	Root []byte
	// Cache is a folder, made if need be, that keeps what was fetched and
	// verified: it protects against rollback between runs, saves requests, and
	// is what Offline reads. Its files are checked like those of the network;
	// whoever can write there can withhold, but not forge. Empty means none.
	Cache string
	// Offline uses the cache alone. Expired metadata is refused all the same.
	Offline bool
	// Client sends the requests; nil means a client without proxy.
	Client *http.Client
}

// An Error says why a file was not got.
type Error struct {
	Reason string // one of the Reason constants
	Msg    string
	Err    error // the cause, or nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Reasons of an [Error]. They are stable.
const (
	ReasonConfig   = "config"       // a Repository that cannot work
	ReasonFetch    = "tuf-fetch"    // a file is neither cached nor served
	ReasonExpired  = "tuf-expired"  // metadata has expired at the time given
	ReasonRollback = "tuf-rollback" // metadata of an older version than was seen
	ReasonMetadata = "tuf-metadata" // metadata that is malformed, unsigned or does not fit together
	ReasonTarget   = "tuf-target"   // no such target, or content that does not match
	ReasonCache    = "tuf-cache"    // the cache cannot be written
)

func fail(reason, format string, args ...any) error {
	return &Error{Reason: reason, Msg: fmt.Sprintf(format, args...)}
}

// Fetch brings the repository's metadata up to date as of the time at and
// returns the named targets of its top-level targets role; delegations are not
// followed. All names are got, or none. Concurrent calls with the same cache,
// from whichever process, wait for each other.
func (r Repository) Fetch(ctx context.Context, at time.Time, names ...string) (map[string][]byte, error) {
	if len(names) == 0 || len(names) > limits.TUFTargets {
		return nil, fail(ReasonConfig, "want 1 to %d target names, found %d", limits.TUFTargets, len(names))
	}
	if at.IsZero() {
		return nil, fail(ReasonConfig, "no time")
	}
	u := &updater{ctx: ctx, offline: r.Offline}
	if !r.Offline {
		base, err := webclient.ParseURL("TUF repository", r.URL, false)
		if err != nil {
			return nil, fail(ReasonConfig, "%v", err)
		}
		u.base, u.targets = base, base.JoinPath("targets")
		if r.Targets != "" {
			if u.targets, err = webclient.ParseURL("TUF targets", r.Targets, false); err != nil {
				return nil, fail(ReasonConfig, "%v", err)
			}
		}
		var release func()
		u.client, release = webclient.New(r.Client)
		defer release()
	} else if r.Cache == "" {
		return nil, fail(ReasonConfig, "offline without a cache")
	}
	if err := check(r.Root); err != nil {
		return nil, &Error{ReasonConfig, "root", err}
	}
	trusted, err := trustedmetadata.New(r.Root)
	if err != nil {
		return nil, &Error{ReasonConfig, "root", err}
	}
	trusted.RefTime = at.UTC()
	u.trusted = trusted
	if r.Cache != "" {
		// One folder for each root: two repositories never mix.
		sum := sha256.Sum256(r.Root)
		u.cache = filepath.Join(r.Cache, hex.EncodeToString(sum[:16]))
		if !r.Offline {
			if err := os.MkdirAll(u.cache, 0o755); err != nil {
				return nil, &Error{ReasonCache, "make the cache", err}
			}
			unlock, err := atomicfile.Lock(ctx, u.cache)
			if err != nil {
				return nil, &Error{ReasonCache, "lock the cache", err}
			}
			defer unlock()
		}
	}
	for _, step := range []func() error{u.root, u.timestamp, u.snapshot, u.topTargets} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	files := map[string][]byte{}
	for _, name := range names {
		if files[name], err = u.target(name); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// An updater is one run of the client workflow.
type updater struct {
	ctx           context.Context
	client        *http.Client
	base, targets *url.URL
	cache         string
	offline       bool
	trusted       *trustedmetadata.TrustedMetadata
}

// root walks from the root that was given to the newest, each signed by the
// one before (specification, section 5.3).
func (u *updater) root() error {
	for range limits.TUFRotations {
		version := u.trusted.Root.Signed.Version + 1
		name := strconv.FormatInt(version, 10) + ".root.json"
		data, cached := u.read(name), true
		if data == nil {
			if u.offline {
				return nil
			}
			var err error
			if data, err = u.download(u.base, name, limits.TUFMetadata); err != nil {
				return err
			}
			if data == nil {
				return nil // 5.3.3: no newer one
			}
			cached = false
		}
		err := check(data)
		if err == nil {
			_, err = u.trusted.UpdateRoot(data)
		}
		if err != nil {
			if cached && !u.offline {
				// Somebody spoilt the cache: ask for it again.
				if err := u.remove(name); err != nil {
					return err
				}
				continue
			}
			return classify(name, err)
		}
		if !cached {
			if err := u.write(name, data); err != nil {
				return err
			}
		}
	}
	return fail(ReasonMetadata, "more than %d root rotations", limits.TUFRotations)
}

// timestamp gets the one file that says what is current (section 5.4). The
// cached one is loaded first, so that an older one is found out.
func (u *updater) timestamp() error {
	const name = "timestamp.json"
	if data := u.read(name); data != nil && check(data) == nil {
		if _, err := u.trusted.UpdateTimestamp(data); err != nil && u.offline {
			return classify(name, err)
		}
	} else if u.offline {
		return fail(ReasonFetch, "%s: not in the cache", name)
	}
	if u.offline {
		return nil
	}
	data, err := u.need(u.base, name, limits.TUFMetadata)
	if err != nil {
		return err
	}
	if _, err = u.trusted.UpdateTimestamp(data); err != nil {
		var same *metadata.ErrEqualVersionNumber
		if errors.As(err, &same) {
			// Not newer: what the cache gave stands, and go-tuf checks its
			// expiry before it takes a snapshot.
			return nil
		}
		return classify(name, err)
	}
	return u.write(name, data)
}

// snapshot gets the list of metadata files (section 5.5).
func (u *updater) snapshot() error {
	const name = "snapshot.json"
	if data := u.read(name); data != nil && check(data) == nil {
		_, err := u.trusted.UpdateSnapshot(data, true)
		if err == nil {
			return nil
		}
		if u.offline {
			return classify(name, err)
		}
	} else if u.offline {
		return fail(ReasonFetch, "%s: not in the cache", name)
	}
	meta := u.trusted.Timestamp.Signed.Meta[name]
	if meta == nil {
		return fail(ReasonMetadata, "timestamp.json names no %s", name)
	}
	data, err := u.need(u.base, u.versioned(name, meta.Version), bound(meta.Length))
	if err != nil {
		return err
	}
	if _, err := u.trusted.UpdateSnapshot(data, false); err != nil {
		return classify(name, err)
	}
	return u.write(name, data)
}

// topTargets gets the list of files (section 5.6).
func (u *updater) topTargets() error {
	const name = "targets.json"
	if data := u.read(name); data != nil && check(data) == nil {
		_, err := u.trusted.UpdateTargets(data)
		if err == nil {
			return nil
		}
		if u.offline {
			return classify(name, err)
		}
	} else if u.offline {
		return fail(ReasonFetch, "%s: not in the cache", name)
	}
	meta := u.trusted.Snapshot.Signed.Meta[name]
	if meta == nil {
		return fail(ReasonMetadata, "snapshot.json names no %s", name)
	}
	data, err := u.need(u.base, u.versioned(name, meta.Version), bound(meta.Length))
	if err != nil {
		return err
	}
	if _, err := u.trusted.UpdateTargets(data); err != nil {
		return classify(name, err)
	}
	return u.write(name, data)
}

// target gets a file (section 5.7).
func (u *updater) target(name string) ([]byte, error) {
	file := u.trusted.Targets[metadata.TARGETS].Signed.Targets[name]
	if file == nil {
		return nil, fail(ReasonTarget, "no target %q", name)
	}
	if file.Length < 0 || file.Length > limits.TUFMetadata {
		return nil, fail(ReasonTarget, "target %q: want at most %d bytes, found %d", name, limits.TUFMetadata, file.Length)
	}
	// Without a hash that is known, the signature would cover the length
	// alone.
	algorithm := ""
	for _, a := range []string{"sha512", "sha256"} {
		if len(file.Hashes[a]) > 0 {
			algorithm = a
		}
	}
	if algorithm == "" {
		return nil, fail(ReasonTarget, "target %q: want a sha256 or sha512 hash, found %v", name, slices.Sorted(maps.Keys(file.Hashes)))
	}
	hash := hex.EncodeToString(file.Hashes[algorithm])
	cached := "target-" + hash
	if data := u.read(cached); data != nil && file.VerifyLengthHashes(data) == nil {
		return data, nil
	}
	if u.offline {
		return nil, fail(ReasonFetch, "target %q: not in the cache", name)
	}
	served := name
	if u.trusted.Root.Signed.ConsistentSnapshot {
		dir, base := path.Split(name)
		served = dir + hash + "." + base
	}
	data, err := u.download(u.targets, served, int(file.Length))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fail(ReasonFetch, "target %q: not served", name)
	}
	if err := file.VerifyLengthHashes(data); err != nil {
		return nil, &Error{ReasonTarget, "target " + strconv.Quote(name), err}
	}
	return data, u.write(cached, data)
}

// versioned returns the name of a metadata file on the server (section 6.2).
func (u *updater) versioned(name string, version int64) string {
	if u.trusted.Root.Signed.ConsistentSnapshot {
		return strconv.FormatInt(version, 10) + "." + name
	}
	return name
}

func bound(length int64) int {
	if length <= 0 || length > limits.TUFMetadata {
		return limits.TUFMetadata
	}
	return int(length)
}

// need downloads metadata that has to be there.
func (u *updater) need(base *url.URL, name string, most int) ([]byte, error) {
	data, err := u.download(base, name, most)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fail(ReasonFetch, "%s: not served", name)
	}
	if err := check(data); err != nil {
		return nil, &Error{ReasonMetadata, name, err}
	}
	return data, nil
}

// download returns nil when the server has no such file: 404, or the 403 of
// object stores.
func (u *updater) download(base *url.URL, name string, most int) ([]byte, error) {
	r, err := webclient.Do(u.ctx, u.client, webclient.Request{Method: "GET", URL: base.JoinPath(name), MaxBody: max(most, 1)}, http.StatusNotFound, http.StatusForbidden)
	if err != nil {
		return nil, &Error{ReasonFetch, name, err}
	}
	if r.Status == http.StatusNotFound || r.Status == http.StatusForbidden {
		return nil, nil
	}
	return r.Body, nil
}

// read returns a file of the cache, nil when there is none of a fit size.
func (u *updater) read(name string) []byte {
	if u.cache == "" {
		return nil
	}
	data, err := regular.Read(filepath.Join(u.cache, name), limits.TUFMetadata)
	if err != nil || len(data) == 0 {
		return nil
	}
	return data
}

// write keeps a verified file, whole or not at all.
func (u *updater) write(name string, data []byte) error {
	if u.cache == "" {
		return nil
	}
	if err := atomicfile.WriteFile(filepath.Join(u.cache, name), data, 0o644); err != nil {
		return &Error{ReasonCache, "write " + name, err}
	}
	return nil
}

func (u *updater) remove(name string) error {
	if err := os.Remove(filepath.Join(u.cache, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &Error{ReasonCache, "remove " + name, err}
	}
	return nil
}

// check refuses metadata that two readers could read in two ways, before
// go-tuf's lenient decoder sees it.
func check(data []byte) error { return strictjson.Check(data, limits.TUFMetadata) }

// classify gives go-tuf's errors a reason.
func classify(name string, err error) error {
	var expired *metadata.ErrExpiredMetadata
	var version *metadata.ErrBadVersionNumber
	var same *metadata.ErrEqualVersionNumber
	e := &Error{ReasonMetadata, name, err}
	switch {
	case errors.As(err, &expired):
		e.Reason = ReasonExpired
	case errors.As(err, &version), errors.As(err, &same):
		e.Reason = ReasonRollback
	}
	return e
}
