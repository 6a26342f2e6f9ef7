// SPDX-License-Identifier: Apache-2.0

package mpocv1

import (
	_ "embed"
	"encoding/json"
	"fmt"

	"github.com/assaynet/assay/poc/audit"
	"github.com/assaynet/assay/poc/mpoc"
	"github.com/assaynet/assay/poc/signed"
)

// OpenAPI is the document that describes the interface, as it is served.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Paths of the interface.
const (
	PathNonce     = "/mpoc/v1/devices/nonce"
	PathDevices   = "/mpoc/v1/devices"
	PathChallenge = "/mpoc/v1/challenges"
	PathCommits   = "/mpoc/v1/commits"
	PathProofs    = "/mpoc/v1/proofs"
	PathReceipts  = "/mpoc/v1/receipts"
	PathFind      = "/mpoc/v1/receipts/find"
	PathClaims    = "/mpoc/v1/receipts/claims"
	PathAccount   = "/mpoc/v1/account"
	PathStatus    = "/mpoc/v1/status"
	PathSocket    = "/mpoc/v1/socket"
	PathOpenAPI   = "/mpoc/v1/openapi.yaml"
)

// HeaderUnpaid is set on every answer of a host that owes what machines earn and transfers nothing,
// with the reason as its value. It is a header because bodies are strict: a machine of before it
// would refuse them.
const HeaderUnpaid = "Assay-Unpaid"

// HeaderStill is set on every answer of a host while its chain makes no block, with the reason as
// its value, in printable ASCII of at most MaxStill bytes. What is computed counts; pay waits for a
// block. It is a header for the same reason.
const HeaderStill = "Assay-Still"

// HeaderRun is set on every answer of a host and names the run of its program: another value says
// that it was started again, with files that may have been put back from a backup, so that machines
// ask at once what it lacks (PathClaims).
const HeaderRun = "Assay-Run"

// MaxStill bounds the value of HeaderStill, in bytes.
const MaxStill = 240

const (
	maxSmall   = 16 << 10
	maxAnswer  = 1 << 20 // receipts
	maxProof   = 4 << 20 // 1,000 samples and 512 tiles of a log of 100,000 loops take 2.4 MB
	maxTime    = 1<<53 - 1
	maxPicks   = mpoc.MaxPicks
	maxPage    = 10
	MaxHeld    = 1000 // receipts that one claim names
	maxSamples = mpoc.MaxLoops / 100
	maxPath    = 17 // hashes from a leaf to the root of 100,000
	maxTiles   = 14 // from a tile to the digest of the largest unit
)

// NonceRequest asks for a nonce to register with.
type NonceRequest struct {
	DeviceKey signed.Key `json:"device_key"`
}

// NonceAnswer is what a Registration is signed over. The host and chain it names
// are those the device must mean.
type NonceAnswer struct {
	Nonce   signed.Hash `json:"nonce"`
	Expiry  uint64      `json:"expiry"` // unix milliseconds
	Chain   string      `json:"chain"`
	HostKey signed.Key  `json:"host_key"`
}

// RegisterRequest registers a key, or renews what is known about it.
type RegisterRequest struct {
	Registration mpoc.Registration `json:"registration"`
	Signature    signed.Signature  `json:"signature"`
}

// Valid checks bounds.
func (r RegisterRequest) Valid() error { return r.Registration.Valid() }

// RegisterAnswer says that a key is known.
type RegisterAnswer struct {
	DeviceKey signed.Key `json:"device_key"`
	Now       uint64     `json:"now"` // the host's clock, unix milliseconds
	Strikes   uint32     `json:"strikes"`
}

// ChallengeRequest asks for work.
type ChallengeRequest struct {
	Asking    mpoc.Asking      `json:"asking"`
	Signature signed.Signature `json:"signature"`
}

// Valid checks bounds.
func (r ChallengeRequest) Valid() error { return validAsking(r.Asking, mpoc.AskChallenge) }

func validAsking(a mpoc.Asking, what string) error {
	if a.What != what || a.Time > maxTime || a.Count > maxTime ||
		(a.ChallengeID != nil) != (what == mpoc.AskReceipt) {
		return fmt.Errorf("%w: asking", ErrBody)
	}
	return nil
}

// Challenge is the terms, the token that a commit must bring, and the host's
// signature of the terms. A key has one live challenge: who asks again gets the
// same.
type Challenge struct {
	mpoc.Terms
	Token         signed.Hash      `json:"token"` // single use; means nothing to the device
	HostSignature signed.Signature `json:"host_signature"`
}

// CommitRequest is the first step of a submission.
type CommitRequest struct {
	ChallengeID signed.Hash `json:"challenge_id"`
	Token       signed.Hash `json:"token"`
	Seed        signed.Hash `json:"seed"`
	mpoc.Commit
	DeviceSignature signed.Signature `json:"device_signature"` // mpoc.Log.Sign
}

// Valid checks bounds.
func (r CommitRequest) Valid() error { return validCommit(r.Commit) }

func validCommit(c mpoc.Commit) error {
	if c.Loops == 0 || c.Loops > mpoc.MaxLoops {
		return fmt.Errorf("%w: %d loops, want 1 to %d", ErrBody, c.Loops, mpoc.MaxLoops)
	}
	return nil
}

// CommitAnswer is the draw and, for convenience, what follows from it: the
// device derives indices and picks itself and refuses a host that deviates.
type CommitAnswer struct {
	mpoc.Draw
	Indices       []uint64         `json:"indices"` // sampled loops, mpoc.Questions.Samples
	Picks         []mpoc.Pick      `json:"picks"`   // of round 0
	HostSignature signed.Signature `json:"host_signature"`
}

// Valid checks bounds.
func (a CommitAnswer) Valid() error {
	if len(a.Indices) > maxSamples || len(a.Picks) > maxPicks || a.AuditQ32 > audit.Q32One ||
		a.Deadline > maxTime {
		return fmt.Errorf("%w: more indices, picks or certainty than there are", ErrBody)
	}
	return nil
}

// ProofRequest is the second step of a submission: the samples with
// the tiles that the host picked. In later rounds samples is empty.
type ProofRequest struct {
	ChallengeID signed.Hash `json:"challenge_id"`
	Token       signed.Hash `json:"token"`
	Seed        signed.Hash `json:"seed"`
	mpoc.Commit
	Round           uint32             `json:"round"`
	Samples         []mpoc.Sample      `json:"samples"`
	Tiles           []mpoc.TileOpening `json:"tiles"`
	DeviceSignature signed.Signature   `json:"device_signature"` // mpoc.Proof.Sign
}

// Proof returns what is verified.
func (r ProofRequest) Proof() mpoc.Proof {
	return mpoc.Proof{Round: r.Round, Samples: r.Samples, Tiles: r.Tiles}
}

// Valid checks bounds.
func (r ProofRequest) Valid() error {
	if len(r.Samples) > maxSamples || len(r.Tiles) > maxPicks {
		return fmt.Errorf("%w: %d samples and %d tiles", ErrBody, len(r.Samples), len(r.Tiles))
	}
	long := false
	for _, s := range r.Samples {
		long = long || len(s.Proof) > maxPath
	}
	for _, t := range r.Tiles {
		long = long || len(t.Proof) > maxPath || len(t.TileProof) > maxTiles
	}
	if long {
		return fmt.Errorf("%w: a path longer than any log's", ErrBody)
	}
	return validCommit(r.Commit)
}

// More is another round of questions, after wrong tiles.
type More struct {
	Round    uint32      `json:"round"`
	Picks    []mpoc.Pick `json:"picks"`
	Deadline uint64      `json:"deadline"` // unix milliseconds
}

// ProofAnswer is the judgement, or more questions: one of the two.
type ProofAnswer struct {
	Receipt *mpoc.Receipt `json:"receipt,omitempty"`
	More    *More         `json:"more,omitempty"`
}

// Valid checks bounds.
func (a ProofAnswer) Valid() error {
	switch {
	case (a.Receipt == nil) == (a.More == nil):
		return fmt.Errorf("%w: a receipt or more questions, one of them", ErrBody)
	case a.More != nil && (len(a.More.Picks) > maxPicks || a.More.Deadline > maxTime):
		return fmt.Errorf("%w: %d picks", ErrBody, len(a.More.Picks))
	}
	return nil
}

// ReceiptRequest signs a receipt back.
type ReceiptRequest struct {
	ChallengeID     signed.Hash      `json:"challenge_id"`
	Receipt         signed.Hash      `json:"receipt"`          // its digest
	DeviceSignature signed.Signature `json:"device_signature"` // mpoc.Receipt.Countersign
}

// ReceiptAnswer says that the host has it.
type ReceiptAnswer struct {
	Entry uint64 `json:"entry"` // of the host's ledger
}

// FindRequest asks for the receipt of a challenge again, of which the answer was
// lost. It is for the challenge's key only.
type FindRequest struct {
	Asking    mpoc.Asking      `json:"asking"` // with the challenge
	Signature signed.Signature `json:"signature"`
}

// Valid checks bounds.
func (r FindRequest) Valid() error { return validAsking(r.Asking, mpoc.AskReceipt) }

// FindAnswer is the receipt that was given, and no other.
type FindAnswer struct {
	Receipt mpoc.Receipt `json:"receipt"`
}

// ClaimRequest shows a host its own receipts, or names them: it may have been put
// back from a backup. What its ledger lacks is entered by the receipt.
type ClaimRequest struct {
	Asking    mpoc.Asking      `json:"asking"`   // as for the account
	Held      []Held           `json:"held"`     // receipts that are not paid yet, the oldest first
	Receipts  []mpoc.Receipt   `json:"receipts"` // to be entered, the oldest first
	Signature signed.Signature `json:"signature"`
}

// Held names an accepted submission of which a machine has the receipt.
type Held struct {
	ChallengeID signed.Hash `json:"challenge_id"`
	Issued      uint64      `json:"issued"` // of its terms
}

// Valid checks bounds.
func (r ClaimRequest) Valid() error {
	if len(r.Held) > MaxHeld || len(r.Receipts) > maxPage {
		return fmt.Errorf("%w: %d held and %d receipts, at most %d and %d", ErrBody, len(r.Held),
			len(r.Receipts), MaxHeld, maxPage)
	}
	for _, h := range r.Held {
		if h.Issued > maxTime {
			return fmt.Errorf("%w: a time", ErrBody)
		}
	}
	return validAsking(r.Asking, mpoc.AskAccount)
}

// ClaimAnswer names what the host's ledger lacks of what was named.
type ClaimAnswer struct {
	Lacking []Held `json:"lacking"`
	// Entered is how many of the receipts were entered by this request.
	Entered uint32 `json:"entered"`
}

// Valid checks bounds.
func (a ClaimAnswer) Valid() error {
	if len(a.Lacking) > MaxHeld {
		return fmt.Errorf("%w: %d lacking, at most %d", ErrBody, len(a.Lacking), MaxHeld)
	}
	return nil
}

// AccountRequest asks for a key's account, and for its receipts from a number on:
// 0, or the next of the answer before. They are numbered as they were given,
// whatever they say: not all of them have an entry in the ledger.
type AccountRequest struct {
	Asking    mpoc.Asking      `json:"asking"`
	From      uint64           `json:"from"`
	Signature signed.Signature `json:"signature"`
}

// Valid checks bounds.
func (r AccountRequest) Valid() error {
	if r.From > maxTime {
		return fmt.Errorf("%w: receipt %d", ErrBody, r.From)
	}
	return validAsking(r.Asking, mpoc.AskAccount)
}

// Account is what a host owes a key and why. The three sums never mix:
// estimated is not judged yet, pending is locked or not paid yet, settled is
// transferred on chain.
type Account struct {
	DeviceKey   signed.Key     `json:"device_key"`
	Payout      string         `json:"payout"`
	Estimated   mpoc.Amount    `json:"estimated"`
	Locked      mpoc.Amount    `json:"locked"`  // what fraud would lose
	Pending     mpoc.Amount    `json:"pending"` // unlocked, waits for a transfer
	Settled     mpoc.Amount    `json:"settled"`
	Clean       uint64         `json:"clean"` // submissions since the last finding
	Strikes     uint32         `json:"strikes"`
	Banned      bool           `json:"banned"`
	Receipts    []mpoc.Receipt `json:"receipts"` // at most 10
	Next        uint64         `json:"next"`     // number to go on from, 0 at the end
	Settlements []Settlement   `json:"settlements"`
}

// Valid checks bounds.
func (a Account) Valid() error {
	if len(a.Receipts) > maxPage || len(a.Settlements) > maxPage {
		return fmt.Errorf("%w: %d receipts and %d settlements, at most %d", ErrBody,
			len(a.Receipts), len(a.Settlements), maxPage)
	}
	for _, v := range []mpoc.Amount{a.Estimated, a.Locked, a.Pending, a.Settled} {
		if err := v.Valid(); err != nil {
			return err
		}
	}
	for _, s := range a.Settlements {
		if err := s.Amount.Valid(); err != nil {
			return err
		}
	}
	return nil
}

// Settlement is one transfer on chain, which the host states under its signature (mpoc.Transfer).
type Settlement struct {
	TxHash        string           `json:"tx_hash"`
	Payout        string           `json:"payout"`
	Amount        mpoc.Amount      `json:"amount"`
	Time          uint64           `json:"time"` // unix milliseconds
	HostSignature signed.Signature `json:"host_signature"`
}

// Status is what a host says about itself, to anyone.
type Status struct {
	Chain       string      `json:"chain"`
	HostKey     signed.Key  `json:"host_key"`
	Now         uint64      `json:"now"` // unix milliseconds
	Devices     uint64      `json:"devices"`
	Live        uint64      `json:"live"` // challenges
	Accepted    uint64      `json:"accepted"`
	Faulty      uint64      `json:"faulty"`
	Rejected    uint64      `json:"rejected"`
	Failed      uint64      `json:"failed"`
	Late        uint64      `json:"late"`
	VerifiedOps uint64      `json:"verified_ops,string"`
	Pay         mpoc.Amount `json:"pay_per_tebiop"`
	Policy      Policy      `json:"policy"`
}

// Policy is the published audit rule in numbers (package audit, Adaptive).
type Policy struct {
	Picks       uint32 `json:"picks"`
	Light       uint32 `json:"light"`
	Whole       uint32 `json:"whole"`
	Kappa       string `json:"kappa"`        // "2/1"
	Floor       string `json:"floor"`        // "1/20"
	UnlockAfter uint32 `json:"unlock_after"` // clean submissions
	BanAfter    uint32 `json:"ban_after"`    // strikes
}

// Error is every answer that is not a success: what is wrong, in one word for
// programs and one sentence for people, and what to do.
type Error struct {
	Code         string `json:"error"`
	Message      string `json:"message"`
	NextStep     string `json:"next_step"`
	RetryAfterMS uint64 `json:"retry_after_ms"` // 0: do not retry as it is
}

// Error returns code and message.
func (e *Error) Error() string { return "mpoc: " + e.Code + ": " + e.Message }

// Codes of errors, with the HTTP status each is sent with.
const (
	CodeMalformed     = "malformed"      // 400: the body is not one
	CodeBadSignature  = "bad_signature"  // 401
	CodeUnknownDevice = "unknown_device" // 401: register first
	CodeBanned        = "banned"         // 403
	CodeBadToken      = "bad_token"      // 403: not this host's, this key's or this challenge's
	CodeNotFound      = "not_found"      // 404: no such path
	CodeNoChallenge   = "no_challenge"   // 404: never issued, or forgotten
	CodeTwoFaces      = "two_faces"      // 409: another commit for the same challenge
	CodeReplayed      = "replayed"       // 409: used before
	CodeNotJudged     = "not_judged"     // 409: there is no receipt yet
	CodeLate          = "late"           // 410: past expiry or deadline
	CodeTooLarge      = "too_large"      // 413
	CodeEncoding      = "encoding"       // 415: a Content-Encoding other than gzip
	CodeOutOfBounds   = "out_of_bounds"  // 422: loops or times that cannot be
	// 422: not what was asked, or not under the root; may be sent again in time
	CodeBadOpening  = "bad_opening"
	CodeRateLimited = "rate_limited" // 429
	CodeInternal    = "internal"     // 500
	CodeBusy        = "busy"         // 503
	CodeNoWork      = "no_work"      // 503: no challenges are issued now
	CodeUnknownType = "unknown_type" // of a frame
	CodeClockSkew   = "clock_skew"   // 401: the asking's time is not the host's
)

// Frame is a message on the WebSocket. A request has a type and a number; its
// answer has the same number and the type of the request, or "error".
type Frame struct {
	Type string          `json:"type"`
	ID   uint64          `json:"id"`
	Body json.RawMessage `json:"body"`
}

// Types of frames.
const (
	TypeNonce     = "nonce"
	TypeRegister  = "register"
	TypeChallenge = "challenge"
	TypeCommit    = "commit"
	TypeProof     = "proof"
	TypeReceipt   = "receipt"
	TypeFind      = "find"
	TypeClaim     = "claim"
	TypeAccount   = "account"
	TypeStatus    = "status"
	TypeError     = "error"
)

// Empty is the body of a frame that asks for the status.
type Empty struct{}

// Valid checks bounds.
func (f Frame) Valid() error {
	if len(f.Type) == 0 || len(f.Type) > 20 || f.ID > maxTime {
		return fmt.Errorf("%w: frame", ErrBody)
	}
	return nil
}

// limit is the longest body of a kind, in bytes.
func limit(v any) int {
	switch v.(type) {
	case *ProofRequest, *Frame:
		return maxProof
	case *ProofAnswer, *FindAnswer:
		return maxAnswer
	case *Account, *ClaimRequest:
		return maxPage * maxAnswer
	case *ClaimAnswer:
		return 128 << 10
	case *CommitAnswer:
		return 64 << 10
	}
	return maxSmall
}
