using Xfrmd.Crypto;

namespace Xfrmd.Datapath.Tests.Oracle;

/// <summary>A cipher context that uses the IVs of a recording, in their order.</summary>
internal sealed class RecordedIv(EspContext inner, Queue<byte[]> ivs) : EspContext
{
    public override void WriteIv(Span<byte> iv, ulong sequence)
    {
        byte[] recorded = ivs.Dequeue();
        Assert.Equal(iv.Length, recorded.Length);
        recorded.CopyTo(iv);
    }

    public override void Seal(Span<byte> esp, bool esn, uint sequenceHigh) => inner.Seal(esp, esn, sequenceHigh);

    public override bool Open(Span<byte> esp, bool esn, uint sequenceHigh) => inner.Open(esp, esn, sequenceHigh);

    protected override void Dispose(bool disposing) => inner.Dispose();
}
