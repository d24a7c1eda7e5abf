package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"unicode/utf8"

	openeaap "github.com/openeaap/openeaap/sdk/go"
)

// lastCount is where {"do": "count"} ends.
const lastCount = 3

// instruction is the input of a run of the agent `conformance`.
type instruction struct {
	Do     string          `json:"do"`
	Output json.RawMessage `json:"output"`
	Tool   string          `json:"tool"`
	Args   json.RawMessage `json:"args"`
	Text   string          `json:"text"`
	Ms     int             `json:"ms"`
}

type observed struct {
	Observation json.RawMessage `json:"observation"`
}

type counted struct {
	N int `json:"n"`
}

func conformanceAgent(cancelledSleeps *atomic.Int64) *openeaap.Agent {
	return openeaap.NewAgent("conformance", func(ctx context.Context, think *openeaap.Think) (*openeaap.ThinkResult, error) {
		return follow(ctx, think, cancelledSleeps)
	}, openeaap.WithDescription("Does what its input says."))
}

func follow(ctx context.Context, think *openeaap.Think, cancelledSleeps *atomic.Int64) (*openeaap.ThinkResult, error) {
	var in instruction
	if err := think.DecodeInput(&in); err != nil {
		return nil, err
	}
	switch in.Do {
	case "finish":
		return openeaap.Finish(in.Output), nil
	case "propose":
		return propose(think, in), nil
	case "count":
		return count(think)
	case "stream":
		return stream(think, in.Text), nil
	case "sleep":
		if err := sleep(ctx, in.Ms); err != nil {
			cancelledSleeps.Add(1)
			return nil, err
		}
		return openeaap.Finish("slept"), nil
	case "fail":
		return nil, openeaap.ModelUnavailable("the model was told not to answer")
	case "crash":
		os.Exit(crashCode)
	}
	return nil, openeaap.InvalidInput("do", fmt.Sprintf("%q is not known", in.Do))
}

func propose(think *openeaap.Think, in instruction) *openeaap.ThinkResult {
	for _, step := range think.Journal {
		if step.Act != nil && step.Act.Tool == in.Tool {
			return openeaap.Finish(observed{Observation: step.Act.Observation})
		}
	}
	if _, offered := think.Tool(in.Tool); !offered {
		return openeaap.Finish("blocked")
	}
	if in.Args == nil {
		in.Args = json.RawMessage("{}")
	}
	return openeaap.Call(in.Tool, in.Args)
}

func count(think *openeaap.Think) (*openeaap.ThinkResult, error) {
	var n int
	if err := think.DecodeState(&n); err != nil {
		return nil, err
	}
	n++
	result := openeaap.Finish(n)
	if n < lastCount {
		result = openeaap.Call("conformance_echo", counted{N: n})
	}
	result.State = n
	return result, nil
}

// stream sends the text in up to three deltas, cut between characters.
func stream(think *openeaap.Think, text string) *openeaap.ThinkResult {
	runes := []rune(text)
	size := max(1, (utf8.RuneCountInString(text)+2)/3)
	for len(runes) > 0 {
		size = min(size, len(runes))
		think.Emit(string(runes[:size]))
		runes = runes[size:]
	}
	return openeaap.Finish(text)
}
