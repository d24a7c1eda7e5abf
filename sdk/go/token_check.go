package openeaap

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// tokenCheck lets nobody in who does not know the token, except the probes of grpc.health.v1.
type tokenCheck struct {
	want [sha256.Size]byte
}

func newTokenCheck(token string) tokenCheck { return tokenCheck{want: sha256.Sum256([]byte(token))} }

func (c tokenCheck) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := c.check(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func (c tokenCheck) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := c.check(stream.Context(), info.FullMethod); err != nil {
		return err
	}
	return handler(server, stream)
}

func (c tokenCheck) check(ctx context.Context, method string) error {
	if strings.HasPrefix(method, "/grpc.health.v1.Health/") {
		return nil
	}
	// Hashes have one length, so the comparison tells nothing about the token's.
	got := sha256.Sum256([]byte(bearerToken(ctx)))
	if subtle.ConstantTimeCompare(got[:], c.want[:]) == 1 {
		return nil
	}
	return status.Error(codes.Unauthenticated, "the call does not carry the token of this plugin: send authorization: Bearer TOKEN, as OPENEAAP_PLUGIN_TOKEN has it")
}

func bearerToken(ctx context.Context) string {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return token
}
