package sigstore

import (
	"encoding/json"
	"strconv"
)

// MediaType is the media type of the bundles that this package writes
// (protobuf-specs sigstore_bundle.proto).
const MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// The bundle in proto3 JSON: lowerCamelCase, 64-bit integers as strings.
type bundleJSON struct {
	MediaType        string          `json:"mediaType"`
	Material         materialJSON    `json:"verificationMaterial"`
	Envelope         json.RawMessage `json:"dsseEnvelope,omitempty"`
	MessageSignature *messageJSON    `json:"messageSignature,omitempty"`
}

type materialJSON struct {
	Certificate *rawJSON    `json:"certificate,omitempty"`
	PublicKey   *hintJSON   `json:"publicKey,omitempty"`
	Entries     []entryJSON `json:"tlogEntries"`
	Timestamps  *stampsJSON `json:"timestampVerificationData,omitempty"`
}

type rawJSON struct {
	RawBytes []byte `json:"rawBytes"`
}

type hintJSON struct {
	Hint string `json:"hint,omitempty"`
}

type entryJSON struct {
	LogIndex       string       `json:"logIndex"`
	LogID          keyIDJSON    `json:"logId"`
	KindVersion    kindJSON     `json:"kindVersion"`
	IntegratedTime string       `json:"integratedTime,omitempty"`
	Promise        *promiseJSON `json:"inclusionPromise,omitempty"`
	Proof          proofJSON    `json:"inclusionProof"`
	Body           []byte       `json:"canonicalizedBody"`
}

type keyIDJSON struct {
	KeyID []byte `json:"keyId"`
}

type kindJSON struct {
	Kind    string `json:"kind"`
	Version string `json:"version"`
}

type promiseJSON struct {
	SET []byte `json:"signedEntryTimestamp"`
}

type proofJSON struct {
	LogIndex   string         `json:"logIndex"`
	RootHash   []byte         `json:"rootHash"`
	TreeSize   string         `json:"treeSize"`
	Hashes     [][]byte       `json:"hashes,omitempty"`
	Checkpoint checkpointJSON `json:"checkpoint"`
}

type checkpointJSON struct {
	Envelope string `json:"envelope"`
}

type stampsJSON struct {
	RFC3161 []stampJSON `json:"rfc3161Timestamps"`
}

type stampJSON struct {
	Signed []byte `json:"signedTimestamp"`
}

type messageJSON struct {
	Digest struct {
		Algorithm string `json:"algorithm"`
		Digest    []byte `json:"digest"`
	} `json:"messageDigest"`
	Signature []byte `json:"signature"`
}

// encode writes a bundle v0.3 on one line.
func (s *Session) encode(c *content, entries []*entry, stamps []*stamp) []byte {
	b := bundleJSON{MediaType: MediaType, Envelope: c.envelope, Material: materialJSON{Entries: []entryJSON{}}}
	if s.leaf != nil {
		// v0.3 has the leaf alone: what a verifier trusts, it has.
		b.Material.Certificate = &rawJSON{s.leaf.Raw}
	} else {
		b.Material.PublicKey = &hintJSON{s.hint}
	}
	for _, e := range entries {
		j := entryJSON{
			LogIndex: strconv.FormatInt(e.index, 10), LogID: keyIDJSON{e.logID}, KindVersion: kindJSON{e.kind, e.version},
			Proof: proofJSON{
				LogIndex: strconv.FormatInt(e.leafIndex, 10), RootHash: e.root, TreeSize: strconv.FormatInt(e.size, 10),
				Hashes: e.hashes, Checkpoint: checkpointJSON{e.checkpoint},
			},
			Body: e.body,
		}
		if e.set != nil {
			j.IntegratedTime, j.Promise = strconv.FormatInt(e.integrated, 10), &promiseJSON{e.set}
		}
		b.Material.Entries = append(b.Material.Entries, j)
	}
	if len(stamps) > 0 {
		b.Material.Timestamps = &stampsJSON{}
		for _, t := range stamps {
			b.Material.Timestamps.RFC3161 = append(b.Material.Timestamps.RFC3161, stampJSON{t.der})
		}
	}
	if c.envelope == nil {
		b.MessageSignature = &messageJSON{Signature: c.signature}
		b.MessageSignature.Digest.Algorithm = protoHash(s.scheme.Hash())
		b.MessageSignature.Digest.Digest = c.digest
	}
	out, err := json.Marshal(b)
	if err != nil {
		panic(err) // strings, bytes and an envelope that was just encoded
	}
	return out
}
