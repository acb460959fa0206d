using Xfrmd.Crypto.IpsecMb;
using Xfrmd.Crypto.Managed;
using Xfrmd.Crypto.OpenSsl;

namespace Xfrmd.Crypto;

/// <summary>
/// Whose code does the work: the system's libIPSec_MB for what it does best (docs/adr/0003-libipsec-mb.md), its libcrypto for the rest
/// (docs/adr/0001-libcrypto.md), managed code for what is not there.
/// </summary>
internal abstract class CryptoBackend
{
    /// <summary>The quickest that this machine has; chosen once.</summary>
    public static CryptoBackend Default { get; } = IpsecMbBackend.Before(LibCrypto.IsAvailable ? new OpenSslBackend() : new ManagedBackend());

    /// <summary>The libraries, for people: what for, and which version.</summary>
    public abstract string Description { get; }

    /// <param name="kind">Any cipher except <see cref="CipherKind.Null"/>.</param>
    /// <param name="key">Without RFC 3686's nonce.</param>
    public abstract CipherContext CreateCipher(CipherKind kind, ReadOnlySpan<byte> key);

    /// <param name="kind">The algorithm.</param>
    /// <param name="key">Without the salt.</param>
    /// <param name="nonceLength">Salt and IV.</param>
    /// <param name="tagLength">ICV bytes.</param>
    public abstract AeadContext CreateAead(AeadKind kind, ReadOnlySpan<byte> key, int nonceLength, int tagLength);

    public abstract AuthContext CreateAuth(AuthKind kind, ReadOnlySpan<byte> key);

    /// <summary>A salt for IVs.</summary>
    public abstract ulong RandomUInt64();

    /// <summary>XCBC and CMAC are CBC with an ending of their own.</summary>
    private protected AuthContext CreateCbcMac(AuthKind kind, ReadOnlySpan<byte> key)
    {
        CipherContext cipher = CreateCipher(CipherKind.AesCbc, key);
        return kind == AuthKind.AesXcbc ? CbcMacContext.Xcbc(cipher, k1 => CreateCipher(CipherKind.AesCbc, k1)) : CbcMacContext.Cmac(cipher);
    }
}
