package collectd

import (
	"crypto/aes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the protocol's own checksum inside what is encrypted
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"scriptbridge/config"
)

// users are the passwords of an auth file, by user; nil when there is
// no such file.
type users map[string]config.Secret

// loadUsers reads an auth file: lines of the form USER: PASSWORD.
func loadUsers(file string) (users, error) {
	if file == "" {
		return nil, nil
	}
	lines, err := config.ReadSecrets(file)
	if err != nil {
		return nil, fmt.Errorf("auth_file: %w", err)
	}
	users := make(users)
	for _, line := range lines {
		user, password, ok := strings.Cut(line.Reveal(), ":")
		user, password = strings.TrimSpace(user), strings.TrimSpace(password)
		if !ok || user == "" || password == "" {
			return nil, fmt.Errorf("auth_file: %s has a line without a user and a password; write it like USER: PASSWORD", file)
		}
		if _, twice := users[user]; twice {
			return nil, fmt.Errorf("auth_file: %s has two passwords for the user %q; leave one", file, user)
		}
		users[user] = config.Secret(password)
	}
	return users, nil
}

func (u users) password(user []byte) (string, error) {
	password, ok := u[string(user)]
	switch {
	case u == nil:
		return "", &unauthorizedError{"it is encrypted, and there is no auth_file"}
	case !ok:
		return "", &unauthorizedError{fmt.Sprintf("the auth_file has no user %.100q", user)}
	}
	return password.Reveal(), nil
}

// verify checks the payload of a signature: 32 bytes of HMAC-SHA-256 over the
// user's name, which follows, and all that is behind the signature. Without an
// auth file nothing is verified and nothing refused, as it is with collectd.
func (u users) verify(signature, signed []byte) (bool, error) {
	if len(signature) <= sha256.Size {
		return false, errors.New("a signature is too short")
	}
	if u == nil {
		return false, nil
	}
	sum, user := signature[:sha256.Size], signature[sha256.Size:]
	password, err := u.password(user)
	if err != nil {
		return false, err
	}
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write(user)
	mac.Write(signed)
	if !hmac.Equal(sum, mac.Sum(nil)) {
		return false, &unauthorizedError{fmt.Sprintf("the signature of the user %.100q is wrong", user)}
	}
	return true, nil
}

// decrypt gives what is in an encrypted part: the length of the user's name,
// the name, the initial vector, and encrypted by AES-256 in output feedback
// mode the SHA-1 of the text and the text.
func (u users) decrypt(b []byte) ([]byte, error) {
	const beside = 2 + aes.BlockSize + sha1.Size
	if len(b) < beside || len(b)-beside < int(binary.BigEndian.Uint16(b)) {
		return nil, errors.New("an encrypted part is too short")
	}
	n := int(binary.BigEndian.Uint16(b))
	user, iv, secret := b[2:2+n], b[2+n:2+n+aes.BlockSize], b[2+n+aes.BlockSize:]
	password, err := u.password(user)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256([]byte(password))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	stream := [aes.BlockSize]byte(iv)
	plain := make([]byte, len(secret))
	for at := 0; at < len(secret); at += aes.BlockSize {
		block.Encrypt(stream[:], stream[:])
		subtle.XORBytes(plain[at:], secret[at:], stream[:])
	}
	sum := sha1.Sum(plain[sha1.Size:]) //nolint:gosec // see the import
	if !hmac.Equal(sum[:], plain[:sha1.Size]) {
		return nil, &unauthorizedError{fmt.Sprintf("it is not encrypted with the password of the user %.100q", user)}
	}
	return plain[sha1.Size:], nil
}
