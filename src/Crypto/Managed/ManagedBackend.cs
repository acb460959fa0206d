using System.Buffers.Binary;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Digests;
using Org.BouncyCastle.Crypto.Engines;

namespace Xfrmd.Crypto.Managed;

/// <summary>BouncyCastle's engines: the ciphers that libcrypto lacks, and all of them where there is no libcrypto (.NET's own classes need it too).</summary>
internal sealed class ManagedBackend : CryptoBackend
{
    public override string Description => "BouncyCastle";

    public override CipherContext CreateCipher(CipherKind kind, ReadOnlySpan<byte> key)
    {
        switch (kind)
        {
            case CipherKind.AesCtr:
                return new BlockCounterContext(AesUtilities.CreateEngine(), key);
            case CipherKind.SerpentCbc:
                // serpent_setkey, crypto/serpent_generic.c: a short key is followed by a 1 and zeros.
                Span<byte> padded = stackalloc byte[32];
                padded.Clear();
                key.CopyTo(padded);
                if (key.Length < padded.Length)
                {
                    padded[key.Length] = 1;
                }

                return new BlockChainContext(Engine(kind), Engine(kind), padded);
            default:
                return new BlockChainContext(Engine(kind), Engine(kind), key);
        }
    }

    public override AeadContext CreateAead(AeadKind kind, ReadOnlySpan<byte> key, int nonceLength, int tagLength) => new ManagedAeadContext(kind, key, tagLength);

    public override AuthContext CreateAuth(AuthKind kind, ReadOnlySpan<byte> key) => kind switch
    {
        AuthKind.Null => new NullAuthContext(),
        AuthKind.AesXcbc or AuthKind.AesCmac => CreateCbcMac(kind, key),
        AuthKind.HmacMd5 => new ManagedHmacContext(new MD5Digest(), key),
        AuthKind.HmacSha1 => new ManagedHmacContext(new Sha1Digest(), key),
        AuthKind.HmacSha256 => new ManagedHmacContext(new Sha256Digest(), key),
        AuthKind.HmacSha384 => new ManagedHmacContext(new Sha384Digest(), key),
        AuthKind.HmacSha512 => new ManagedHmacContext(new Sha512Digest(), key),
        AuthKind.HmacRipemd160 => new ManagedHmacContext(new RipeMD160Digest(), key),
        AuthKind.HmacSm3 => new ManagedHmacContext(new SM3Digest(), key),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    public override ulong RandomUInt64()
    {
        // .NET's generator is libcrypto's, and that is what is missing.
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        using FileStream urandom = new("/dev/urandom", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        urandom.ReadExactly(bytes);
        return BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }

    private static IBlockCipher Engine(CipherKind kind) => kind switch
    {
        CipherKind.DesCbc => new DesEngine(),
        CipherKind.TripleDesCbc => new DesEdeEngine(),
        CipherKind.Cast5Cbc => new Cast5Engine(),
        CipherKind.BlowfishCbc => new BlowfishEngine(),
        CipherKind.AesCbc => AesUtilities.CreateEngine(),
        CipherKind.SerpentCbc => new SerpentEngine(),
        CipherKind.CamelliaCbc => new CamelliaEngine(),
        CipherKind.TwofishCbc => new TwofishEngine(),
        CipherKind.Sm4Cbc => new SM4Engine(),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };
}
