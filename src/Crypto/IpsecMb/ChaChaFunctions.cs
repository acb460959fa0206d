using System.Runtime.InteropServices;

namespace Xfrmd.Crypto.IpsecMb;

/// <summary>ChaCha20-Poly1305 as four neighbours of <c>IMB_MGR</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly unsafe struct ChaChaFunctions
{
    /// <summary>(key of 32 bytes, context, nonce of 12 bytes, AAD, its length).</summary>
    public readonly delegate* unmanaged[SuppressGCTransition]<byte*, byte*, byte*, byte*, ulong, void> Start;

    /// <summary>(key, context, output, input, length); input and output may be the same.</summary>
    public readonly delegate* unmanaged<byte*, byte*, byte*, byte*, ulong, void> Seal, Open;

    /// <summary>(context, tag, its length).</summary>
    public readonly delegate* unmanaged[SuppressGCTransition]<byte*, byte*, ulong, void> Finish;
}
