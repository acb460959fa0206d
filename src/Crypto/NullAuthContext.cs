namespace Xfrmd.Crypto;

/// <summary><c>digest_null</c>: an ICV of no bytes.</summary>
internal sealed class NullAuthContext : AuthContext
{
    public override void Append(ReadOnlySpan<byte> data)
    {
    }

    public override void Finish(Span<byte> icv) => icv.Clear();

    protected override void Dispose(bool disposing)
    {
    }
}
