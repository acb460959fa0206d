using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Xfrmd.Crypto.OpenSsl;

/// <summary>
/// The few functions of libcrypto 3 that the transforms need. Those that touch a bounded number of bytes skip the runtime's GC transition;
/// those that walk over a packet do not.
/// </summary>
internal static unsafe partial class LibCrypto
{
    private const string Library = "libcrypto.so.3";

    private static readonly nint Handle = Load();
    private static readonly ConcurrentDictionary<string, nint> Ciphers = new();

    public static bool IsAvailable => Handle != 0;

    /// <summary>"3.0.19".</summary>
    public static string Version
    {
        get
        {
            const int VersionString = 6;
            nint version = Export("OpenSSL_version");
            return version == 0 ? "" : Marshal.PtrToStringUTF8(((delegate* unmanaged<int, nint>)version)(VersionString)) ?? "";
        }
    }

    /// <summary>A cipher by its OpenSSL name, looked up once per process: an implicit fetch would cost more than a packet. Zero: not in this build.</summary>
    public static nint Cipher(string name) => Ciphers.GetOrAdd(name, static n => CipherFetch(0, n, null));

    /// <summary>An exported function, or zero.</summary>
    public static nint Export(string name) => IsAvailable && NativeLibrary.TryGetExport(Handle, name, out nint address) ? address : 0;

    /// <summary>Turns the 0 of a failed call into an exception: it means a bug or a lack of memory, never bad input.</summary>
    public static void Check(int result)
    {
        if (result <= 0)
        {
            Throw();
        }

        static void Throw() => throw new InvalidOperationException("libcrypto refused an operation");
    }

    [LibraryImport(Library, EntryPoint = "EVP_CIPHER_fetch", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint CipherFetch(nint library, string algorithm, string? properties);

    [LibraryImport(Library, EntryPoint = "EVP_CIPHER_CTX_new")]
    public static partial nint ContextNew();

    [LibraryImport(Library, EntryPoint = "EVP_CIPHER_CTX_free")]
    public static partial void ContextFree(nint context);

    [LibraryImport(Library, EntryPoint = "EVP_CIPHER_CTX_ctrl")]
    public static partial int ContextControl(nint context, int type, int argument, byte* pointer);

    /// <summary>With a key: expands it.</summary>
    [LibraryImport(Library, EntryPoint = "EVP_CipherInit_ex")]
    public static partial int InitKey(nint context, nint cipher, nint engine, byte* key, byte* iv, int encrypt);

    /// <summary>Without a key: sets the IV and the direction.</summary>
    [LibraryImport(Library, EntryPoint = "EVP_CipherInit_ex")]
    [SuppressGCTransition]
    public static partial int InitIv(nint context, nint cipher, nint engine, byte* key, byte* iv, int encrypt);

    /// <summary>A few bytes of AAD, or a length.</summary>
    [LibraryImport(Library, EntryPoint = "EVP_CipherUpdate")]
    [SuppressGCTransition]
    public static partial int UpdateShort(nint context, byte* output, int* written, byte* input, int length);

    /// <summary>A packet's bytes.</summary>
    [LibraryImport(Library, EntryPoint = "EVP_CipherUpdate")]
    public static partial int Update(nint context, byte* output, int* written, byte* input, int length);

    [LibraryImport(Library, EntryPoint = "EVP_CipherFinal_ex")]
    [SuppressGCTransition]
    public static partial int Final(nint context, byte* output, int* written);

    [LibraryImport(Library, EntryPoint = "EVP_CIPHER_CTX_get_params")]
    [SuppressGCTransition]
    public static partial int GetParameters(nint context, OsslParam* parameters);

    [LibraryImport(Library, EntryPoint = "EVP_CIPHER_CTX_set_params")]
    [SuppressGCTransition]
    public static partial int SetParameters(nint context, OsslParam* parameters);

    private static nint Load()
    {
        // Without this export it is no libcrypto 3, whatever its name.
        return NativeLibrary.TryLoad(Library, out nint handle) && NativeLibrary.TryGetExport(handle, "EVP_CIPHER_fetch", out _) ? handle : 0;
    }
}
