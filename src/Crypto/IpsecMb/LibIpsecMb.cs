using System.Runtime.InteropServices;

namespace Xfrmd.Crypto.IpsecMb;

/// <summary>
/// The few functions of libIPSec_MB (intel-ipsec-mb) that the transforms need. They are not exported but stand in the manager, which
/// chooses them for the processor; <c>intel-ipsec-mb.h</c> fixes where (1.0 to 2.0: the same). They keep no state but what the caller gives
/// them, so that any thread may call.
/// </summary>
internal static unsafe partial class LibIpsecMb
{
    // offsetof(IMB_MGR, …) of both.
    private const int Features = 8, ErrorNumber = 60, GcmSeal = 256, GcmOpen = 280, GcmExpand = 448, ChaChaStart = 920;

    // IMB_FEATURE_AESNI and IMB_FEATURE_PCLMULQDQ: without them it computes by tables, slowly.
    private const ulong Needed = 0x6;

    private static readonly string[] Libraries = ["libIPSec_MB.so.2", "libIPSec_MB.so.1"];
    private static readonly nint Handle = Find();
    private static readonly byte* Manager = Start();

    /// <summary>The library is there, and quick on this processor.</summary>
    public static bool IsAvailable => Manager != null;

    /// <summary>"1.3.0", of one that is available.</summary>
    public static string Version => Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)Export("imb_get_version_str"))()) ?? "";

    /// <summary><c>gcm128_pre</c> and so on: (key, expanded key).</summary>
    public static delegate* unmanaged<byte*, byte*, void> Expand(int keyBytes) => (delegate* unmanaged<byte*, byte*, void>)Function(GcmExpand, keyBytes);

    /// <summary>
    /// <c>gcm128_enc</c> and so on: (expanded key, scratch, output, input, length, IV of 12 bytes, AAD, its length, tag, its length). Input and
    /// output may be the same.
    /// </summary>
    public static delegate* unmanaged[SuppressGCTransition]<byte*, byte*, byte*, byte*, ulong, byte*, byte*, ulong, byte*, ulong, void> Seal(int keyBytes) =>
        (delegate* unmanaged[SuppressGCTransition]<byte*, byte*, byte*, byte*, ulong, byte*, byte*, ulong, byte*, ulong, void>)Function(GcmSeal, keyBytes);

    /// <summary><c>gcm128_dec</c> and so on, as <see cref="Seal"/>: it writes the tag that the packet should have, and compares nothing.</summary>
    public static delegate* unmanaged[SuppressGCTransition]<byte*, byte*, byte*, byte*, ulong, byte*, byte*, ulong, byte*, ulong, void> Open(int keyBytes) =>
        (delegate* unmanaged[SuppressGCTransition]<byte*, byte*, byte*, byte*, ulong, byte*, byte*, ulong, byte*, ulong, void>)Function(GcmOpen, keyBytes);

    /// <summary><c>chacha20_poly1305_init</c>, <c>_enc_update</c>, <c>_dec_update</c> and <c>_finalize</c>.</summary>
    public static ChaChaFunctions ChaCha => *(ChaChaFunctions*)(Manager + ChaChaStart);

    private static nint Function(int first, int keyBytes) => ((nint*)(Manager + first))[(keyBytes / 8) - 2];

    private static nint Find()
    {
        nint library = 0;
        return RuntimeInformation.ProcessArchitecture == Architecture.X64 && Libraries.Any(name => NativeLibrary.TryLoad(name, out library))
            && NativeLibrary.TryGetExport(library, "init_mb_mgr_auto", out _) ? library : 0;
    }

    private static nint Export(string name) => NativeLibrary.GetExport(Handle, name);

    private static byte* Start()
    {
        if (Handle == 0)
        {
            return null;
        }
        byte* manager = ((delegate* unmanaged<ulong, byte*>)Export("alloc_mb_mgr"))(0);
        if (manager == null)
        {
            return null;
        }
        int architecture;
        ((delegate* unmanaged<byte*, int*, void>)Export("init_mb_mgr_auto"))(manager, &architecture);
        if (*(int*)(manager + ErrorNumber) == 0 && (*(ulong*)(manager + Features) & Needed) == Needed)
        {
            return manager;
        }
        ((delegate* unmanaged<byte*, void>)Export("free_mb_mgr"))(manager);
        return null;
    }
}
