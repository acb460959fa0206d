using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Macs;
using Org.BouncyCastle.Crypto.Parameters;

namespace Xfrmd.Crypto.Managed;

/// <summary>HMAC over a digest of BouncyCastle.</summary>
internal sealed class ManagedHmacContext : AuthContext
{
    private readonly HMac _hmac;

    public ManagedHmacContext(IDigest digest, ReadOnlySpan<byte> key)
    {
        _hmac = new HMac(digest);
        _hmac.Init(new KeyParameter(key));
    }

    public override void Append(ReadOnlySpan<byte> data) => _hmac.BlockUpdate(data);

    public override void Finish(Span<byte> icv)
    {
        Span<byte> full = stackalloc byte[MaxLength];
        _hmac.DoFinal(full);
        full[..icv.Length].CopyTo(icv);
    }

    protected override void Dispose(bool disposing)
    {
    }
}
