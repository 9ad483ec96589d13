"""Problems: small data sets without language, one file each; data only, nothing here learns."""
