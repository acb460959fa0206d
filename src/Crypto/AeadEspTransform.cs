using System.Buffers.Binary;

namespace Xfrmd.Crypto;

/// <summary>ESP with a combined-mode algorithm: RFC 4106, 4309, 4543 and 7634.</summary>
internal sealed class AeadEspTransform : EspTransform
{
    private readonly CryptoBackend _backend;
    private readonly AeadAlgorithm _aead;
    private readonly SecretKey _key;
    private ulong _ivSalt;


    public AeadEspTransform(CryptoBackend backend, AeadAlgorithm aead, SecretKey key)
        : base(aead.IvBytes, 1, aead.IcvBits / 8)
    {
        _backend = backend;
        _aead = aead;
        _key = key;
    }

    // One salt for all contexts of the SA (crypto/geniv.c): two of them would soon collide on an IV. Drawn for the first of them; 0 stands for none.
    private ulong IvSalt
    {
        get
        {
            ulong salt = Volatile.Read(ref _ivSalt);
            while (salt == 0)
            {
                ulong drawn = _backend.RandomUInt64();
                salt = Interlocked.CompareExchange(ref _ivSalt, drawn, 0) is not 0 and ulong present ? present : drawn;
            }
            return salt;
        }
    }

    private protected override EspContext CreateContextCore()
    {
        ReadOnlySpan<byte> key = _key.Span;
        ReadOnlySpan<byte> salt = key[^_aead.SaltBytes..];
        AeadContext aead = _backend.CreateAead(_aead.Kind, key[..^_aead.SaltBytes], _aead.SaltBytes + IvLength, IcvLength);
        return new Context(aead, salt, _aead.Kind == AeadKind.AesGmac, IcvLength, IvSalt);
    }

    protected override void Dispose(bool disposing) => _key.Dispose();

    private sealed class Context : EspContext
    {
        private const int IvBytes = 8, MaxNonce = 12;
        private readonly AeadContext _aead;
        private readonly uint _salt;
        private readonly int _saltLength;
        private readonly bool _authenticateOnly;
        private readonly int _icvLength;
        private readonly ulong _ivSalt;
        private bool _disposed;

        public Context(AeadContext aead, ReadOnlySpan<byte> salt, bool authenticateOnly, int icvLength, ulong ivSalt)
        {
            _aead = aead;
            Span<byte> padded = stackalloc byte[4];
            salt.CopyTo(padded[(4 - salt.Length)..]);
            _salt = BinaryPrimitives.ReadUInt32BigEndian(padded);
            _saltLength = salt.Length;
            _authenticateOnly = authenticateOnly;
            _icvLength = icvLength;
            _ivSalt = ivSalt;
        }

        public override void WriteIv(Span<byte> iv, ulong sequence) => BinaryPrimitives.WriteUInt64BigEndian(iv, sequence ^ _ivSalt);

        public override void Seal(Span<byte> esp, bool esn, uint sequenceHigh)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Span<byte> nonceBytes = stackalloc byte[MaxNonce];
            ReadOnlySpan<byte> nonce = Nonce(nonceBytes, esp);
            Span<byte> aad = stackalloc byte[HeaderLength + 4];
            aad = Aad(aad, esp, esn, sequenceHigh);
            Span<byte> icv = esp[^_icvLength..];
            if (_authenticateOnly)
            {
                _aead.Seal(nonce, aad, esp[HeaderLength..^_icvLength], [], icv);
            }
            else
            {
                _aead.Seal(nonce, aad, [], esp[(HeaderLength + IvBytes)..^_icvLength], icv);
            }
        }

        public override bool Open(Span<byte> esp, bool esn, uint sequenceHigh)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (esp.Length <= HeaderLength + IvBytes + _icvLength)
            {
                return false;
            }

            Span<byte> nonceBytes = stackalloc byte[MaxNonce];
            ReadOnlySpan<byte> nonce = Nonce(nonceBytes, esp);
            Span<byte> aad = stackalloc byte[HeaderLength + 4];
            aad = Aad(aad, esp, esn, sequenceHigh);
            ReadOnlySpan<byte> icv = esp[^_icvLength..];
            return _authenticateOnly
                ? _aead.Open(nonce, aad, esp[HeaderLength..^_icvLength], [], icv)
                : _aead.Open(nonce, aad, [], esp[(HeaderLength + IvBytes)..^_icvLength], icv);
        }

        protected override void Dispose(bool disposing)
        {
            _disposed = true;
            _aead.Dispose();
        }

        /// <summary>Salt, then the IV (RFC 4106 section 4; with three bytes of salt RFC 4309 section 4).</summary>
        private ReadOnlySpan<byte> Nonce(Span<byte> nonce, ReadOnlySpan<byte> esp)
        {
            BinaryPrimitives.WriteUInt32BigEndian(nonce, _salt);
            esp.Slice(HeaderLength, IvBytes).CopyTo(nonce[4..]);
            return nonce[(4 - _saltLength)..];
        }

        /// <summary>SPI and sequence number; with ESN the upper half stands between them (RFC 4106 section 5).</summary>
        private static Span<byte> Aad(Span<byte> aad, ReadOnlySpan<byte> esp, bool esn, uint sequenceHigh)
        {
            if (!esn)
            {
                esp[..HeaderLength].CopyTo(aad);
                return aad[..HeaderLength];
            }

            esp[..4].CopyTo(aad);
            BinaryPrimitives.WriteUInt32BigEndian(aad[4..], sequenceHigh);
            esp[4..HeaderLength].CopyTo(aad[8..]);
            return aad;
        }
    }
}
