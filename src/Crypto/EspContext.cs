namespace Xfrmd.Crypto;

/// <summary>
/// Encrypts and decrypts the packets of one ESP SA in place (RFC 4303). One per SA and worker; it allocates nothing per packet. <code>
/// | SPI 4 | Sequence 4 | IV | payload, padding, pad length, next header | ICV |
/// </code></summary>
public abstract class EspContext : IDisposable
{
    /// <summary>Writes the IV of an outbound packet, from its full 64-bit sequence number: never twice the same under one key.</summary>
    public abstract void WriteIv(Span<byte> iv, ulong sequence);

    /// <summary>Encrypts the payload and writes the ICV; the IV is there already.</summary>
    /// <param name="esp">The packet from the SPI to the end of the ICV; its payload is a multiple of the block, and not empty.</param>
    /// <param name="esn">The SA has extended sequence numbers (RFC 4303 section 2.2.1).</param>
    /// <param name="sequenceHigh">Their upper half, which is covered by the ICV but not sent.</param>
    public abstract void Seal(Span<byte> esp, bool esn, uint sequenceHigh);

    /// <summary>Verifies a received packet and decrypts its payload. False: it is not authentic or cut short; its bytes are then undefined.</summary>
    /// <inheritdoc cref="Seal"/>
    public abstract bool Open(Span<byte> esp, bool esn, uint sequenceHigh);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);
}
