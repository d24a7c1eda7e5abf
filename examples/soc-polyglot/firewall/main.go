// Command firewall is a plugin with the one dangerous tool of the flagship job: it blocks an address at the firewall.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"

	openeaap "github.com/openeaap/openeaap/sdk/go"
)

type blockInput struct {
	IP              string `json:"ip" description:"The address to block" jsonschema:"format=ipv4"`
	Reason          string `json:"reason" description:"Why, with the evidence; the approver reads it"`
	DurationMinutes int    `json:"duration_minutes,omitempty" description:"How long to block; a day unless said otherwise"`
}

type blockOutput struct {
	IP        string `json:"ip"`
	Status    string `json:"status"`
	RuleID    string `json:"rule_id"`
	Duplicate bool   `json:"duplicate"`
}

func main() {
	tool := openeaap.NewTool("firewall_block_ip", "Blocks one IP address at the border firewall for a time. 在边界防火墙上封禁一个 IP。", block,
		openeaap.WithEffect(openeaap.Destructive),
		// The firewall knows the key: a second request with it changes nothing.
		openeaap.WithIdempotent(),
	)
	if err := openeaap.Serve(context.Background(), openeaap.WithTools(tool), openeaap.WithName("firewall"), openeaap.WithVersion("1.0.0")); err != nil {
		fmt.Fprintln(os.Stderr, "firewall:", err)
		os.Exit(1)
	}
}

func block(ctx context.Context, call *openeaap.ToolCall, in blockInput) (blockOutput, error) {
	if in.DurationMinutes == 0 {
		in.DurationMinutes = 1440
	}
	body, err := json.Marshal(in)
	if err != nil {
		return blockOutput{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv("FIREWALL_URL")+"/v1/blocks", bytes.NewReader(body))
	if err != nil {
		return blockOutput{}, openeaap.Failed("FIREWALL_URL is not an address")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", call.IdempotencyKey)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		// Whether the firewall heard of it is not known; it is idempotent, so the platform may ask again.
		return blockOutput{}, err
	}
	defer response.Body.Close()
	if response.StatusCode >= 400 && response.StatusCode < 500 {
		return blockOutput{}, openeaap.Failed(fmt.Sprintf("the firewall refused: status %d", response.StatusCode))
	}
	out := blockOutput{IP: in.IP, Status: "blocked"}
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		return blockOutput{}, err
	}
	return out, nil
}
