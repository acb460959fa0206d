using System.Buffers.Binary;

namespace Xfrmd.Crypto;

/// <summary>ESP with a cipher and an integrity algorithm beside it: encrypt, then authenticate (crypto/authenc.c, crypto/authencesn.c).</summary>
internal sealed class AuthencEspTransform : EspTransform
{
    /// <summary>RFC 3686 section 4: the nonce at the end of the key.</summary>
    private const int CounterNonce = 4;

    private readonly CryptoBackend _backend;
    private readonly CipherAlgorithm _cipher;
    private readonly SecretKey _cipherKey;
    private readonly AuthAlgorithm? _auth;
    private readonly SecretKey? _authKey;
    private IvSalt? _ivSalt;

    public AuthencEspTransform(
        CryptoBackend backend, CipherAlgorithm cipher, SecretKey cipherKey, AuthAlgorithm? auth, SecretKey? authKey, int icvLength)
        : base(cipher.IvBytes, cipher.BlockBytes, icvLength)
    {
        _backend = backend;
        _cipher = cipher;
        _cipherKey = cipherKey;
        _auth = icvLength > 0 ? auth : null;
        _authKey = authKey;
    }

    private protected override EspContext CreateContextCore()
    {
        ReadOnlySpan<byte> key = _cipherKey.Span;
        uint nonce = 0;
        if (_cipher.Kind == CipherKind.AesCtr)
        {
            nonce = BinaryPrimitives.ReadUInt32BigEndian(key[^CounterNonce..]);
            key = key[..^CounterNonce];
        }

        CipherContext? cipher = _cipher.Kind == CipherKind.Null ? null : _backend.CreateCipher(_cipher.Kind, key);
        AuthContext? auth = _auth is null ? null : _backend.CreateAuth(_auth.Kind, _authKey is null ? default : _authKey.Span);
        return new Context(this, cipher, auth, nonce);
    }

    protected override void Dispose(bool disposing)
    {
        _cipherKey.Dispose();
        _authKey?.Dispose();
    }

    // One for all contexts of the SA (crypto/geniv.c), drawn for the first of them.
    private IvSalt Salt()
    {
        if (Volatile.Read(ref _ivSalt) is { } present)
        {
            return present;
        }

        IvSalt drawn = new(_backend.RandomUInt64(), _backend.RandomUInt64());
        return Interlocked.CompareExchange(ref _ivSalt, drawn, null) ?? drawn;
    }

    private sealed record IvSalt(ulong First, ulong Second);

    private sealed class Context : EspContext
    {
        private const int MaxBlock = 16;
        private readonly CipherContext? _cipher;
        private readonly AuthContext? _auth;
        private readonly IvGenerator _ivGenerator;
        private readonly bool _counterMode;
        private readonly uint _nonce;
        private readonly IvSalt _ivSalt;
        private readonly int _ivLength, _blockSize, _icvLength;
        private bool _disposed;

        public Context(AuthencEspTransform transform, CipherContext? cipher, AuthContext? auth, uint nonce)
        {
            _cipher = cipher;
            _auth = auth;
            _ivGenerator = transform._cipher.IvGenerator;
            _counterMode = transform._cipher.Kind == CipherKind.AesCtr;
            _nonce = nonce;
            _ivSalt = transform.Salt();
            _ivLength = transform.IvLength;
            _blockSize = transform.BlockSize;
            _icvLength = transform.IcvLength;
        }

        public override void WriteIv(Span<byte> iv, ulong sequence)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            switch (_ivGenerator)
            {
                case IvGenerator.SequenceXorSalt:
                    BinaryPrimitives.WriteUInt64BigEndian(iv, sequence ^ _ivSalt.First);
                    break;
                case IvGenerator.EncryptedSequence:
                    // echainiv_encrypt: each 8 bytes are an odd salt times the sequence number, encrypted with the SA's own key.
                    Span<byte> zero = stackalloc byte[MaxBlock];
                    zero = zero[.._ivLength];
                    zero.Clear();
                    BinaryPrimitives.WriteUInt64BigEndian(iv[(_ivLength - 8)..], (_ivSalt.First | 1) * sequence);
                    if (_ivLength == MaxBlock)
                    {
                        BinaryPrimitives.WriteUInt64BigEndian(iv, (_ivSalt.Second | 1) * sequence);
                    }

                    _cipher!.Encrypt(zero, iv[.._ivLength]);
                    break;
            }
        }

        public override void Seal(Span<byte> esp, bool esn, uint sequenceHigh)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_cipher is not null)
            {
                Span<byte> ivBytes = stackalloc byte[MaxBlock];
                _cipher.Encrypt(Iv(ivBytes, esp), esp[(HeaderLength + _ivLength)..^_icvLength]);
            }

            if (_auth is not null)
            {
                Authenticate(_auth, esp[..^_icvLength], esn, sequenceHigh, esp[^_icvLength..]);
            }
        }

        public override bool Open(Span<byte> esp, bool esn, uint sequenceHigh)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            int payload = esp.Length - HeaderLength - _ivLength - _icvLength;
            if (payload <= 0)
            {
                return false;
            }

            if (_auth is not null)
            {
                Span<byte> icv = stackalloc byte[AuthContext.MaxLength];
                icv = icv[.._icvLength];
                Authenticate(_auth, esp[..^_icvLength], esn, sequenceHigh, icv);
                if (!ConstantTime.Equals(icv, esp[^_icvLength..]))
                {
                    return false;
                }
            }

            if (payload % _blockSize != 0)
            {
                return false;
            }

            if (_cipher is not null)
            {
                Span<byte> ivBytes = stackalloc byte[MaxBlock];
                _cipher.Decrypt(Iv(ivBytes, esp), esp.Slice(HeaderLength + _ivLength, payload));
            }

            return true;
        }

        protected override void Dispose(bool disposing)
        {
            _disposed = true;
            _cipher?.Dispose();
            _auth?.Dispose();
        }

        /// <summary>The ICV covers all that stands before it and, with ESN, the upper half of the sequence number after that.</summary>
        private static void Authenticate(AuthContext auth, ReadOnlySpan<byte> covered, bool esn, uint sequenceHigh, Span<byte> icv)
        {
            auth.Append(covered);
            if (esn)
            {
                Span<byte> high = stackalloc byte[4];
                BinaryPrimitives.WriteUInt32BigEndian(high, sequenceHigh);
                auth.Append(high);
            }

            auth.Finish(icv);
        }

        /// <summary>The IV as sent, or RFC 3686's first counter block: nonce, IV, 1.</summary>
        private ReadOnlySpan<byte> Iv(Span<byte> iv, ReadOnlySpan<byte> esp)
        {
            ReadOnlySpan<byte> sent = esp.Slice(HeaderLength, _ivLength);
            if (!_counterMode)
            {
                return sent;
            }

            BinaryPrimitives.WriteUInt32BigEndian(iv, _nonce);
            sent.CopyTo(iv[4..]);
            BinaryPrimitives.WriteUInt32BigEndian(iv[12..], 1);
            return iv;
        }
    }
}
