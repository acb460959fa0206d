namespace Xfrmd.PfKey.Abi;

/// <summary><c>SADB_*</c>: message types, linux/pfkeyv2.h.</summary>
public enum SadbType : byte
{
    Reserved = 0,
    GetSpi = 1,
    Update = 2,
    Add = 3,
    Delete = 4,
    Get = 5,
    Acquire = 6,
    Register = 7,
    Expire = 8,
    Flush = 9,
    Dump = 10,
    XPromisc = 11,
    XPchange = 12,
    XSpdUpdate = 13,
    XSpdAdd = 14,
    XSpdDelete = 15,
    XSpdGet = 16,
    XSpdAcquire = 17,
    XSpdDump = 18,
    XSpdFlush = 19,
    XSpdSetIdx = 20,
    XSpdExpire = 21,
    XSpdDelete2 = 22,
    XNatTNewMapping = 23,
    XMigrate = 24,

    /// <summary><c>SADB_MAX</c>.</summary>
    Max = XMigrate,
}
